//! crypttab: what it opens against the devices that are there, and against fstab.

use super::fixes::{Fix, Task};
use super::fstab::SCREEN;
use super::{Facts, Finding, Kind, Severity};
use crate::probe::fstab::Spec;
use crate::probe::inventory::Found;

/// crypttab against the devices and against fstab.
pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let own = &facts.system.facts;
    let mut found: Vec<Finding> = syntax(facts).into_iter().collect();
    for entry in &own.crypttab {
        let has = |word: &str| entry.options.iter().any(|option| option == word);
        let optional = has("nofail") || has("noauto");
        let there = match entry.uuid() {
            Some(uuid) if facts.disks.known => facts
                .inventory
                .volumes
                .iter()
                .any(|volume| volume.superblock.uuid.eq_ignore_ascii_case(uuid)),
            _ => true,
        };
        if !there {
            let severity = if optional {
                Severity::Note
            } else {
                Severity::Error
            };
            found.push(
                Finding::new(severity, Kind::Crypttab, format!("the encrypted device of {} is not there. What is mounted from it is missing.", entry.name))
                    .seen(format!("/etc/crypttab:{} wants {}", entry.line, entry.device))
                    .screen("A start job is running for Cryptography Setup; or: cryptsetup: Waiting for encrypted source device")
                    .fix(Fix::task(Task::Fstab).inside("editor /etc/crypttab").or("plug the disk in; or correct its UUID (newroot scan shows what is here), then build the initramfs anew")),
            );
        }
    }
    // A name that fstab wants and crypttab gives to nobody.
    for entry in own
        .fstab
        .entries
        .iter()
        .filter(|entry| !entry.is_optional())
    {
        let Spec::Device(path) = &entry.spec else {
            continue;
        };
        let Some(name) = path
            .to_str()
            .and_then(|path| path.strip_prefix("/dev/mapper/"))
        else {
            continue;
        };
        let looks_encrypted =
            name.ends_with("_crypt") || name.starts_with("luks-") || name.starts_with("crypt");
        let known = own.crypttab.iter().any(|it| it.name == name);
        let logical =
            crate::probe::inventory::split_mapper(name).is_some() && !name.starts_with("luks-");
        let open = facts.disks.known
            && facts
                .system
                .wants
                .iter()
                .any(|want| want.line == entry.line && matches!(want.found, Found::Here(_)));
        let by_kernel = facts
            .health
            .boot
            .configs
            .iter()
            .flat_map(|it| &it.entries)
            .any(|it| {
                it.options.contains(name)
                    || it.options.contains("rd.luks")
                    || it.options.contains("cryptdevice=")
            });
        if looks_encrypted && !known && !logical && !open && !by_kernel {
            found.push(
                Finding::error(Kind::Crypttab, format!("fstab wants /dev/mapper/{name}, and crypttab opens nothing of that name. Boot stops in emergency mode."))
                    .seen(format!("/etc/fstab:{}; no line of /etc/crypttab begins with {name}", entry.line))
                    .screen(SCREEN)
                    .fix(Fix::task(Task::Fstab).inside("editor /etc/crypttab").or("give the encrypted device that name, then build the initramfs anew")),
            );
        }
    }
    found
}

/// A line that is skipped opens nothing, and nobody is told.
fn syntax(facts: &Facts<'_>) -> Option<Finding> {
    let bad = &facts.health.state.crypttab;
    let (line, _) = bad.first()?;
    let what = format!("line {line} of crypttab is skipped. What it was meant to open is missing.");
    let mut finding = Finding::error(Kind::Crypttab, what);
    for (line, why) in bad.iter().take(4) {
        finding = finding.seen(format!("/etc/crypttab:{line}: {why}"));
    }
    let fix = Fix::task(Task::Fstab).inside("editor /etc/crypttab");
    Some(finding.fix(fix.or("a line is: name, device, key file or none, options")))
}
