//! The facts that `doctor` judges: what stands in a root, gathered without changing anything.
//!
//! Readers are thin and take a [`Tree`]; parsers are pure. Nothing here says
//! whether a fact is good or bad: that is `doctor`'s business.

pub mod accounts;
mod aside;
pub mod boot;
#[cfg(test)]
mod damage;
pub mod disks;
pub mod journal;
pub mod layout;
pub mod origin;
mod pam;
pub mod pkgstate;
pub mod programs;
pub mod state;
mod sudoers;
pub mod volumes;

use std::collections::BTreeMap;

use super::boot::Boot;
use super::packages::{Lost, Packages};
use crate::model::RootPath;
use crate::root::Tree;

/// Everything that is read in a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Directories, links, permissions.
    pub layout: layout::Layout,
    /// Programs; `None` where they were not asked for.
    pub programs: Option<programs::Programs>,
    /// Whose the files are that something is wrong with.
    pub origins: origin::Origins,
    /// Files of packages that are gone or empty, by package.
    pub lost: BTreeMap<String, Lost>,
    /// What the package manager says of itself.
    pub packages: pkgstate::PackageState,
    /// Kernels and boot loaders.
    pub boot: boot::BootFacts,
    /// Accounts.
    pub accounts: accounts::AccountFacts,
    /// The last boot.
    pub last: journal::LastBootLog,
    /// The rest.
    pub state: state::StateFacts,
    /// Mount points of fstab that are not there.
    pub no_mount_point: Vec<RootPath>,
    /// What was not looked at, and why.
    pub unchecked: Vec<(String, String)>,
}

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct Quest<'q> {
    /// The system.
    pub tree: &'q dyn Tree,
    /// Its kernels, as the scan found them.
    pub boot: &'q Boot,
    /// Its machine id.
    pub machine_id: Option<&'q str>,
    /// Mount points that its fstab wants.
    pub mount_points: &'q [RootPath],
    /// Leave out what reads every file.
    pub quick: bool,
}

impl std::fmt::Debug for dyn Tree + '_ {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tree")
    }
}

/// Reads it all.
#[must_use]
pub fn gather(quest: Quest<'_>) -> Health {
    let tree = quest.tree;
    let mut health = Health {
        layout: layout::look(tree),
        ..Health::default()
    };
    let lost = (!quest.quick).then(|| aside::ask(|| Packages::open(tree).lost_files()));
    let last = aside::ask(|| journal::look(tree, quest.machine_id));
    if quest.quick {
        for what in ["programs and libraries", "files of packages"] {
            health.unchecked.push((what.into(), "--quick".into()));
        }
    } else {
        health.programs = Some(programs::look(tree));
    }
    health.packages = pkgstate::look(tree);
    health.boot = boot::look(tree, quest.boot);
    health.accounts = accounts::look(tree);
    health.state = state::look(tree);
    let missing = quest
        .mount_points
        .iter()
        .filter(|path| tree.stat(path).is_err());
    health.no_mount_point = missing.cloned().collect();
    match lost.map(aside::Aside::answer) {
        None => {}
        Some(Some(found)) => {
            health.lost = found.packages;
            let unread = found.unread.into_iter();
            let what = "the files of packages".to_string();
            health
                .unchecked
                .extend(unread.map(|why| (what.clone(), why)));
        }
        Some(None) => health.unchecked.push((
            "the files of packages".into(),
            "a worker process ended early".into(),
        )),
    }
    match last.answer() {
        Some(found) => health.last = found,
        None => health
            .unchecked
            .push(("the journal".into(), "a worker process ended early".into())),
    }
    if let Some(why) = &health.last.unread {
        health
            .unchecked
            .push(("the last boot's journal".into(), why.clone()));
    }
    if health.last.compressed > 0 {
        health.unchecked.push((
            format!("{} of the last boot", compressed(health.last.compressed)),
            "the journal keeps them compressed; journalctl -p err --directory shows them".into(),
        ));
    }
    if let Some(programs) = &health.programs {
        health.origins = origin::find(tree, programs, &[]);
        let lost = programs
            .lost
            .iter()
            .map(|what| (what.clone(), String::new()));
        let unread = programs
            .unread
            .iter()
            .map(|(path, why)| (String::from_utf8_lossy(path).into_owned(), why.clone()));
        health.unchecked.extend(lost.chain(unread));
    }
    health
}

fn compressed(messages: u32) -> String {
    let plural = if messages == 1 { "" } else { "s" };
    format!("{messages} long error message{plural}")
}
