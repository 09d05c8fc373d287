//! fstab and crypttab: syntax, and what they name against what is there.

use super::fixes::{self, Fix, Task};
use super::{Facts, Finding, Kind, Severity};
use crate::probe::fstab::{Entry, Problem, Purpose, Spec};
use crate::probe::inventory::{Found, Volume};
use crate::probe::roots::ENOUGH;
use crate::probe::system::Want;

/// Types that mount(8) or the kernel knows; another word is a mistake or a helper's.
const TYPES: &[&str] = &[
    "auto",
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "f2fs",
    "jfs",
    "reiserfs",
    "vfat",
    "msdos",
    "exfat",
    "ntfs",
    "ntfs3",
    "ntfs-3g",
    "lowntfs-3g",
    "iso9660",
    "udf",
    "squashfs",
    "erofs",
    "zfs",
    "bcachefs",
    "nilfs2",
    "hfsplus",
    "hfs",
    "minix",
    "romfs",
    "ubifs",
    "jffs2",
    "swap",
    "none",
    "bind",
    "ecryptfs",
    "apfs",
    "affs",
    "ufs",
    "cramfs",
    "fuseblk",
    "gfs2",
    "ocfs2",
    "reiser4",
];
/// So many bad lines are shown.
const SHOWN: usize = 4;
pub(super) const SCREEN: &str =
    "You are in emergency mode. After logging in, type \"journalctl -xb\"";

fn repair(text: impl Into<String>) -> Fix {
    Fix::task(Task::Fstab)
        .inside("editor /etc/fstab")
        .inside("findmnt --verify")
        .or(text)
}

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let fstab = &facts.system.facts.fstab;
    let mut found = Vec::new();
    found.extend(problems(&fstab.problems));
    for entry in &fstab.entries {
        found.extend(syntax(entry));
        found.extend(fs_type(facts, entry));
    }
    for want in &facts.system.wants {
        found.extend(device(facts, want));
    }
    found.extend(duplicates(&fstab.entries));
    found.extend(mount_points(facts));
    found.extend(root(facts));
    found
}

/// Lines that nobody understands; one finding, since a file of noise has a thousand.
fn problems(problems: &[Problem]) -> Option<Finding> {
    let (first, more) = problems.split_first()?;
    let line = first.line;
    let what = match more.len() {
        0 => format!("line {line} of fstab cannot be understood."),
        many => format!("line {line} of fstab and {many} more cannot be understood."),
    };
    let mut finding = Finding::error(
        Kind::FstabSyntax,
        format!("{what} What was meant to be mounted is missing."),
    );
    for problem in problems.iter().take(SHOWN) {
        finding = finding.seen(format!("/etc/fstab:{}: {}", problem.line, problem.what));
    }
    Some(finding.fix(repair("correct or comment out what is wrong")))
}

/// `UID=…` or `sda2`: looks like a device and is none.
fn syntax(entry: &Entry) -> Option<Finding> {
    const NO_DEVICE: &[&str] = &[
        "tmpfs", "proc", "sysfs", "devpts", "overlay", "none", "zfs", "fuse", "ecryptfs",
    ];
    let Spec::Virtual(name) = &entry.spec else {
        return None;
    };
    let disk =
        TYPES.contains(&entry.fs_type.as_str()) && !NO_DEVICE.contains(&entry.fs_type.as_str());
    let bound = entry.has("bind") || entry.has("rbind");
    if !disk || bound || entry.fs_type == "swap" && name == "none" {
        return None;
    }
    Some(
        Finding::error(
            Kind::FstabSyntax,
            format!(
                "line {} of fstab names \"{name}\", which is no device. {}",
                entry.line,
                consequence(entry.is_optional(), &entry.mount_point.to_string())
            ),
        )
        .seen(format!(
            "/etc/fstab:{}: a device is UUID=, LABEL=, PARTUUID=, PARTLABEL= or a path",
            entry.line
        ))
        .screen(SCREEN)
        .fix(repair("correct the first field of that line")),
    )
}

fn consequence(optional: bool, mount_point: &str) -> String {
    if optional {
        format!("{mount_point} is not mounted.")
    } else {
        "Boot stops in emergency mode.".to_string()
    }
}

fn fs_type(facts: &Facts<'_>, entry: &Entry) -> Option<Finding> {
    if entry.purpose() != Purpose::Device || matches!(entry.spec, Spec::Virtual(_)) {
        return None;
    }
    let word = entry.fs_type.as_str();
    let is_known = word.split(',').all(|word| TYPES.contains(&word)) || word.starts_with("fuse.");
    let severity = if entry.is_optional() {
        Severity::Warning
    } else {
        Severity::Error
    };
    let end = consequence(entry.is_optional(), &entry.mount_point.to_string());
    if !is_known {
        return Some(
            Finding::new(severity, Kind::FstabType, format!("line {} of fstab names the filesystem type \"{word}\", which nobody knows. {end}", entry.line))
                .seen(format!("/etc/fstab:{}: type {word}", entry.line))
                .screen("mount: unknown filesystem type")
                .fix(repair("correct the third field of that line")),
        );
    }
    let want = facts
        .system
        .wants
        .iter()
        .find(|want| want.line == entry.line)?;
    let Found::Here(index) = want.found else {
        return None;
    };
    let real = facts.inventory.volumes.get(index)?.superblock.kind.as_str();
    let alike = |word: &str| {
        word == "auto"
            || word == real
            || matches!(
                (word, real),
                ("ext2" | "ext3" | "ext4", "ext2" | "ext3" | "ext4")
                    | ("msdos", "vfat")
                    | ("ntfs3" | "ntfs-3g" | "lowntfs-3g" | "fuseblk", "ntfs")
                    | ("swap", "swsuspend")
            )
    };
    // ext4 reads its predecessors; ext2 does not read its successors, but that driver does.
    if real.is_empty() || word.split(',').any(alike) {
        return None;
    }
    Some(
        Finding::new(
            severity,
            Kind::FstabType,
            format!(
                "line {} of fstab wants {word} for {}, which is {real}. {end}",
                entry.line, entry.mount_point
            ),
        )
        .seen(format!(
            "/etc/fstab:{}; {} holds {real}",
            entry.line,
            name(facts, index)
        ))
        .screen(SCREEN)
        .fix(repair(format!(
            "write {real} into the third field of that line"
        ))),
    )
}

fn name(facts: &Facts<'_>, index: usize) -> String {
    facts
        .inventory
        .volumes
        .get(index)
        .map(|volume| volume.name.clone())
        .unwrap_or_default()
}

/// As fstab has it.
pub(super) fn spec(spec: &Spec) -> String {
    match spec {
        Spec::Uuid(uuid) => format!("UUID={uuid}"),
        Spec::Label(label) => format!("LABEL={label}"),
        Spec::PartUuid(uuid) => format!("PARTUUID={uuid}"),
        Spec::PartLabel(label) => format!("PARTLABEL={label}"),
        Spec::Device(path) => path.display().to_string(),
        Spec::Path(path) => path.to_string(),
        Spec::Network(text) | Spec::Virtual(text) => text.clone(),
    }
}

fn device(facts: &Facts<'_>, want: &Want) -> Option<Finding> {
    if !facts.disks.known {
        return None;
    }
    let entry = facts
        .system
        .facts
        .fstab
        .entries
        .iter()
        .find(|entry| entry.line == want.line)?;
    let swap = entry.purpose() == Purpose::Swap;
    let place = if swap {
        "swap".to_string()
    } else {
        want.mount_point.to_string()
    };
    match want.found {
        Found::Missing | Found::Unreliable(None) => {}
        Found::Unreliable(Some(index)) => {
            return Some(
                Finding::note(
                    Kind::FstabName,
                    format!(
                        "fstab names the device of {place} by a number that changes: {}.",
                        spec(&want.spec)
                    ),
                )
                .seen(format!(
                    "/etc/fstab:{}; {} has that name now",
                    want.line,
                    name(facts, index)
                )),
            );
        }
        Found::Here(_) | Found::Locked(_) => return None,
    }
    // Opened with a new key at every boot: it is never there before.
    let volatile = facts
        .system
        .facts
        .crypttab
        .iter()
        .any(|it| it.is_volatile() && spec(&want.spec).ends_with(&format!("/{}", it.name)));
    // An LVM or array that nobody put together is no missing device; `volumes` tells what lacks.
    let apart = match &want.spec {
        Spec::Device(path) => {
            let mapped = path.starts_with("/dev/mapper") || path.starts_with("/dev/md");
            let raid = |volume: &Volume| volume.superblock.usage == "raid";
            mapped && facts.inventory.volumes.iter().any(raid)
                || facts.disks.incomplete.iter().any(|it| it.holds(path))
        }
        _ => false,
    };
    if volatile || apart {
        return None;
    }
    let (severity, what) = match (want.optional, swap) {
        (true, _) => (
            Severity::Note,
            format!("{place} has no device; fstab allows that."),
        ),
        (false, true) => (
            Severity::Warning,
            "a swap area has no device. Booting waits for it, 90 seconds as a rule.".to_string(),
        ),
        (false, false) => (
            Severity::Error,
            format!("{place} has no device. Boot stops in emergency mode."),
        ),
    };
    let nofail = if want.optional { "" } else { ", no nofail" };
    let mut finding = Finding::new(severity, Kind::FstabDevice, what)
        .seen(format!(
            "/etc/fstab:{} wants {}{nofail}",
            want.line,
            spec(&want.spec)
        ))
        .fix(
            Fix::task(Task::Fstab)
                .inside(format!("sed -i '{}s/^/#/' /etc/fstab", want.line))
                .or("plug the disk in (newroot scan shows what is here); or comment the line out:"),
        );
    if !want.optional {
        finding = finding.screen(format!(
            "A start job is running for /dev/disk/by-uuid/...; then: {SCREEN}"
        ));
    }
    Some(finding)
}

fn duplicates(entries: &[Entry]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = entry.mount_point.normalized();
        if matches!(entry.purpose(), Purpose::Swap)
            || path.as_bytes() == b"/none"
            || entry.has("noauto")
        {
            continue;
        }
        let earlier = entries.iter().take(index).find(|other| {
            other.purpose() != Purpose::Swap
                && !other.has("noauto")
                && other.mount_point.normalized() == path
        });
        if let Some(earlier) = earlier {
            found.push(
                Finding::warning(Kind::FstabDuplicate, format!("fstab has two lines for {path}. The later one hides or replaces the earlier."))
                    .seen(format!("/etc/fstab:{} and {}", earlier.line, entry.line))
                    .fix(repair("comment out one of the two lines")),
            );
        }
    }
    found
}

/// systemd makes a mount point that is missing; other inits do not.
fn mount_points(facts: &Facts<'_>) -> Vec<Finding> {
    let systemd = facts.health.layout.systemd;
    let missing = facts.health.no_mount_point.iter().map(|path| {
        let line = facts
            .system
            .facts
            .fstab
            .at(&path.to_string())
            .map_or(0, |entry| entry.line);
        let (severity, what) = if systemd {
            (
                Severity::Note,
                format!("the mount point {path} is missing; systemd makes it."),
            )
        } else {
            (
                Severity::Error,
                format!("the mount point {path} is missing. It is not mounted."),
            )
        };
        Finding::new(severity, Kind::FstabMountPoint, what)
            .seen(format!("/etc/fstab:{line}; {path} is not there"))
            .fix(Fix::task(Task::Fstab).outside(format!(
                "mkdir -p \"$ROOT\"{}",
                fixes::word(&path.to_string())
            )))
    });
    missing.collect()
}

/// Where everything else speaks for a system that is booted, its root belongs into fstab.
fn root(facts: &Facts<'_>) -> Option<Finding> {
    let fstab = &facts.system.facts.fstab;
    if fstab.at("/").is_some() || !facts.boots() || facts.system.facts.score() < ENOUGH {
        return None;
    }
    let by_kernel = facts
        .health
        .boot
        .configs
        .iter()
        .flat_map(|it| &it.entries)
        .any(|entry| entry.root().is_some() || entry.options.contains("ostree="));
    let what = if fstab.entries.is_empty() {
        "fstab is missing or names nothing."
    } else {
        "fstab does not name the root filesystem."
    };
    // With root= on the kernel's command line it is mounted all the same, read-only where `ro`
    // stands there too.
    let finding = if by_kernel && !fstab.entries.is_empty() {
        Finding::note(Kind::FstabRoot, what)
    } else if by_kernel {
        Finding::warning(
            Kind::FstabRoot,
            format!("{what} The root stays read-only, and nothing else is mounted."),
        )
    } else {
        Finding::note(Kind::FstabRoot, what)
    };
    Some(
        finding.seen("/etc/fstab has no line for /").fix(
            Fix::task(Task::Fstab)
                .outside("genfstab -U \"$ROOT\"")
                .or("write what it prints into /etc/fstab"),
        ),
    )
}
