//! What is wrong with a system: facts in, findings out. Pure: nothing is read here.
//!
//! One file a kind of trouble; each looks at the facts on its own. What one cause explains of
//! another's findings is taken out in `fold`, so that a system whose libc is gone has one
//! finding and not 2,412. [`fixes`] holds the commands that repair, by family.

mod accounts;
mod boot;
mod crypttab;
mod family;
mod finding;
mod firmware;
pub mod fixes;
mod fold;
mod fstab;
mod lastboot;
mod layout;
mod loaders;
mod packages;
mod permissions;
mod programs;
mod state;
mod volumes;

pub use family::Family;
pub use finding::{Finding, Kind, Severity};
pub use fixes::{Fix, Task};

use crate::probe::health::Health;
use crate::probe::health::disks::Disks;
use crate::probe::inventory::Inventory;
use crate::probe::roots::Evidence;
use crate::probe::system::System;

/// All that is known of a system.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// What the scan found.
    pub system: &'f System,
    /// The devices of this machine; empty where the system was given as a directory.
    pub inventory: &'f Inventory,
    /// What stands in its root.
    pub health: &'f Health,
    /// What lies below it.
    pub disks: &'f Disks,
    /// Now, in seconds since 1970.
    pub now: i64,
}

impl Facts<'_> {
    /// By which commands it is repaired.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(&self.system.facts.os)
    }

    /// Whether this is a handful of programs in a directory, a jail: nobody logs in there, and no
    /// package's script wants a shell.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        let evidence = &self.system.facts.evidence;
        let whole = |it: &Evidence| matches!(it, Evidence::Packages | Evidence::Init);
        !self.boots() && !evidence.iter().any(whole)
    }

    /// Whether this is meant to boot: a kernel is or was installed, or a boot loader. A container
    /// or a chroot has neither, and nothing about booting is asked of it.
    #[must_use]
    pub fn boots(&self) -> bool {
        !self.system.boot.kernels.is_empty()
            || !self.health.layout.modules.is_empty()
            || !self.health.boot.configs.is_empty()
            || !self.system.boot.loaders.is_empty()
    }
}

/// What the doctor has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Errors first, root causes first.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub unchecked: Vec<(String, String)>,
    /// ELF programs and libraries that were looked at.
    pub programs: u32,
}

impl Report {
    /// How many findings have this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|it| it.severity == severity)
            .count()
    }
}

/// Judges.
#[must_use]
pub fn examine(facts: &Facts<'_>) -> Report {
    let rules: [fn(&Facts<'_>) -> Vec<Finding>; 13] = [
        layout::find,
        programs::find,
        packages::find,
        boot::find,
        loaders::find,
        firmware::find,
        fstab::find,
        crypttab::find,
        accounts::find,
        permissions::find,
        volumes::find,
        lastboot::find,
        state::find,
    ];
    let mut findings: Vec<Finding> = rules.iter().flat_map(|rule| rule(facts)).collect();
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
    fold::fold(&mut findings);
    let programs = facts.health.programs.as_ref();
    Report {
        findings,
        unchecked: unchecked(facts),
        programs: programs.map_or(0, |programs| programs.programs + programs.libraries),
    }
}

fn unchecked(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut found = facts.health.unchecked.clone();
    found.extend(facts.disks.unchecked.clone());
    for (path, why) in &facts.system.unseen {
        found.push((path.to_string(), why.clone()));
    }
    if !facts.boots() {
        found.push((
            "booting".into(),
            "no kernel and no boot loader: a container or a chroot".into(),
        ));
    } else if !facts.disks.known {
        let what = "devices of fstab and crypttab, boot sectors, superblocks";
        found.push((what.into(), "a directory was named, not a disk".into()));
    }
    if facts.disks.known && !facts.system.firmware.is_empty() && facts.disks.nvram.is_none() {
        found.push((
            "boot entries of the firmware".into(),
            "this machine was not booted by UEFI, or the system is in an image".into(),
        ));
    }
    let journal = &facts.health.last;
    if facts.boots()
        && facts.health.layout.systemd
        && journal.file.is_none()
        && journal.unread.is_none()
    {
        found.push((
            "the last boot".into(),
            "no journal is kept in /var/log/journal".into(),
        ));
    }
    found
}

/// Names with commas, and how many there are beyond them.
fn list(names: impl IntoIterator<Item = String>, all: usize) -> String {
    let names: Vec<String> = names.into_iter().collect();
    let more = all.saturating_sub(names.len());
    let text = names.join(", ");
    if more == 0 {
        text
    } else {
        format!("{text} and {more} more")
    }
}

/// "1 program", "3 programs".
fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests;
