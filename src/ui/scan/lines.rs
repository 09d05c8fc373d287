//! The sentences of the scan: what is remarkable about a system, and what comes last.

use crate::cli;
use crate::probe::boot::Firmware;
use crate::probe::inventory::{Found as Lead, Inventory};
use crate::probe::livemedium::Own;
use crate::probe::scan::{Found, Locked, Reason, Skipped};
use crate::probe::system::{Place, System};
use crate::ui::{escape_bytes, shell_quote};

/// How wide a closing line may be.
const WIDTH: usize = 78;
/// So many names are listed before the rest is only counted.
const MOST_NAMES: usize = 6;

/// "Debian 12.9 amd64"
pub(super) fn system_name(system: &System) -> String {
    let name = system.facts.os.short();
    match system.facts.arch {
        Some(arch) => format!("{name} {arch}"),
        None => name,
    }
}

/// "sda2 ext4", "sdc3 btrfs subvol=root"
#[must_use]
pub fn place(inventory: &Inventory, system: &System) -> String {
    match &system.place {
        Place::Directory(path) => path.to_string(),
        Place::Volume {
            volumes, subvolume, ..
        } => {
            let names: Vec<&str> = volumes
                .iter()
                .map(|index| inventory.volumes[*index].name.as_str())
                .collect();
            let mut text = format!("{} {}", names.join("+"), system.fs_type);
            let path = subvolume
                .as_ref()
                .map(|subvolume| subvolume.path.relative());
            if let Some(path) = path.filter(|path| path.as_os_str() != ".") {
                text.push_str(&format!(" subvol={}", path.display()));
            }
            text
        }
    }
}

/// The lines below a system's row.
pub(super) fn remarks(found: &Found, system: &System) -> Vec<String> {
    let mut out = vec![format!("boot   {}", boot(&found.inventory, system))];
    let missing = system.boot.without_initramfs(system.uses_initramfs());
    for kernel in missing.iter().take(MOST_NAMES) {
        out.push(format!(
            "WARN   kernel {} has no initramfs",
            safe(&short(&kernel.version))
        ));
    }
    out.extend(fstab(system));
    let volume = |index: usize| safe(&found.inventory.volumes[index].name);
    for want in &system.wants {
        match want.found {
            Lead::Locked(index) => out.push(format!(
                "NOTE   fstab: {} is on {}, which is locked",
                safe(&want.mount_point.to_string()),
                volume(index)
            )),
            Lead::Unreliable(Some(index)) => out.push(format!(
                "NOTE   fstab: line {} names a device by its number; {} has it now",
                want.line,
                volume(index)
            )),
            _ => {}
        }
    }
    let mut notes = Vec::new();
    if let Some(swap) = &system.hibernated {
        let flag = "read-only unless --discard-hibernation";
        notes.push(format!("hibernated (in {}): {flag}", safe(swap)));
    }
    if system.folded > 0 {
        let what = if is_ostree(system) {
            "older deployment"
        } else {
            "snapshot"
        };
        notes.push(format!("{} folded", count(system.folded, what)));
    }
    if matches!(system.place, Place::Volume { .. })
        && !system.facts.fstab.entries.is_empty()
        && system.facts.fstab.at("/").is_some()
        && !system.is_named_by_fstab()
    {
        notes.push("its fstab names another filesystem as /: a copy?".to_string());
    }
    for (path, why) in system.unseen.iter().take(MOST_NAMES) {
        notes.push(format!("{}: {}", safe(&path.to_string()), safe(why)));
    }
    if !notes.is_empty() {
        out.push(format!("NOTE   {}", notes.join("; ")));
    }
    out
}

fn fstab(system: &System) -> Option<String> {
    let missing: Vec<String> = system
        .missing()
        .take(MOST_NAMES)
        .map(|want| safe(&want.mount_point.to_string()))
        .collect();
    let count = system.missing().count();
    if count == 0 || matches!(system.place, Place::Directory(_)) {
        return None;
    }
    let more = if count > missing.len() { ", ..." } else { "" };
    let all = system.wants.len();
    let names = missing.join(", ");
    Some(format!(
        "WARN   fstab: {count} of {all} devices missing ({names}{more})"
    ))
}

fn boot(inventory: &Inventory, system: &System) -> String {
    let mut parts: Vec<String> = system
        .firmware
        .iter()
        .map(|firmware| match firmware {
            Firmware::Uefi => "UEFI".to_string(),
            Firmware::Bios => "BIOS".to_string(),
        })
        .collect();
    parts.extend(
        system
            .boot
            .loaders
            .iter()
            .map(|loader| loader.name().to_string()),
    );
    if let Some(esp) = system.esp {
        parts.push(format!("ESP {}", safe(&inventory.volumes[esp].name)));
    }
    if parts.is_empty() {
        parts.push("no boot loader seen".to_string());
    }
    let day_by_day: Vec<&str> = system
        .boot
        .kernels
        .iter()
        .filter(|kernel| !kernel.rescue)
        .map(|kernel| kernel.version.as_str())
        .collect();
    let skip = day_by_day.len().saturating_sub(MOST_NAMES);
    let names: Vec<String> = day_by_day[skip..]
        .iter()
        .map(|version| safe(&short(version)))
        .collect();
    let kernels = match names.len() {
        0 if system.boot.unified > 0 => count(system.boot.unified, "unified kernel image"),
        0 => "no kernel seen".to_string(),
        1 => format!("kernel {}", names[0]),
        _ => format!("kernels {}", names.join(", ")),
    };
    format!("{}; {kernels}", parts.join(", "))
}

/// 6.1.0-40 of 6.1.0-40-amd64: the architecture is in the row above.
fn short(version: &str) -> String {
    let ends = [
        "-amd64", ".x86_64", "-x86_64", "-arm64", ".aarch64", "-generic",
    ];
    let cut = ends.iter().find_map(|end| version.strip_suffix(end));
    cut.unwrap_or(version).to_string()
}

pub(super) fn how_to_unlock(locked: &Locked) -> Vec<String> {
    if locked.what == "BitLocker" {
        return Vec::new();
    }
    vec![format!(
        "next   newroot scan --unlock {}",
        shell_quote(&locked.id)
    )]
}

/// What comes below the table: how much, what was left out, what to type next.
#[must_use]
pub fn closing(found: &Found) -> Vec<String> {
    let mut text = count(found.systems.len(), "system");
    if found.systems.is_empty() {
        text = "no installed system found".to_string();
    }
    if !found.locked.is_empty() {
        text.push_str(&format!(", {} locked", found.locked.len()));
    }
    text.push_str(". Nothing was written.");
    let skipped: Vec<String> = found.skipped.iter().map(skip).collect();
    if !skipped.is_empty() {
        text.push_str(&format!(" Skipped: {}.", skipped.join(", ")));
    }
    let mut out = wrap(&text);
    for apart in &found.apart {
        let on = safe(&apart.on.join(", "));
        let name = safe(&apart.name);
        let note = if apart.note.is_empty() {
            String::new()
        } else {
            format!(": {}", safe(&apart.note))
        };
        out.extend(wrap(&format!(
            "Not put together: {} {name} on {on}{note}",
            apart.what
        )));
    }
    out.extend(
        found
            .notes
            .iter()
            .flat_map(|note| wrap(&format!("Note: {}", safe(note)))),
    );
    out.extend(next(found));
    out
}

fn next(found: &Found) -> Option<String> {
    let Some(system) = found.systems.first() else {
        let is_own = |left: &Skipped| left.reason == Reason::Own(Own::RunningSystem);
        let only_own = found.locked.is_empty() && found.skipped.iter().any(is_own);
        return only_own.then(|| "Next: newroot doctor /".to_string());
    };
    let host = system.facts.hostname.as_ref().filter(|host| {
        let same = found
            .systems
            .iter()
            .filter(|other| other.facts.hostname.as_ref() == Some(host));
        same.count() == 1
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    });
    let name = shell_quote(host.unwrap_or(&system.id));
    let verbs: Vec<String> = ["doctor", "rescue"]
        .iter()
        .filter(|verb| cli::knows(verb))
        .map(|verb| format!("newroot {verb} {name}"))
        .collect();
    (!verbs.is_empty()).then(|| format!("Next: {}", verbs.join("      or: ")))
}

fn skip(skipped: &Skipped) -> String {
    let why = match &skipped.reason {
        Reason::Own(Own::LiveMedium) => "this live system".to_string(),
        Reason::Own(Own::RunningSystem) => "this running system".to_string(),
        Reason::NoAnswer(seconds) => format!("no answer in {seconds} s"),
        Reason::InUse(Some(holder)) => format!("in use by {}", safe(&holder.to_string())),
        Reason::InUse(None) => "in use".to_string(),
        Reason::Unreadable(text) => safe(text),
    };
    format!("{} ({why})", safe(&skipped.name))
}

fn is_ostree(system: &System) -> bool {
    matches!(
        &system.place,
        Place::Volume {
            deployment: Some(_),
            ..
        }
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn safe(text: &str) -> String {
    escape_bytes(text.as_bytes())
}

/// Breaks at spaces.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_versions_are_short() {
        let lines = wrap(&"word ".repeat(40));
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(short("6.1.0-40-amd64"), "6.1.0-40");
        assert_eq!(short("6.17.8-300.fc43.x86_64"), "6.17.8-300.fc43");
        assert_eq!(count(1, "system"), "1 system");
    }

    #[test]
    fn what_was_left_out_is_said_with_its_reason() {
        let skipped = |name: &str, reason| Skipped {
            name: name.into(),
            reason,
        };
        let found = Found {
            skipped: vec![
                skipped("sdb", Reason::Own(Own::LiveMedium)),
                skipped("sdd", Reason::NoAnswer(10)),
                skipped("s\x1bde", Reason::InUse(None)),
            ],
            ..Found::default()
        };
        let text = closing(&found).join(" ");
        assert_eq!(
            text,
            "no installed system found. Nothing was written. Skipped: sdb (this live system), \
             sdd (no answer in 10 s), s\\x1bde (in use)."
        );
    }
}
