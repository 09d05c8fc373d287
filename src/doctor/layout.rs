//! The bones: merged /usr, /bin/sh, init, the directories that a boot needs.

use std::path::Path;

use super::fixes::{self, Fix, Task};
use super::{Facts, Family, Finding, Kind, list};
use crate::model::Kind as FileKind;
use crate::probe::health::layout::Is;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let layout = &facts.health.layout;
    let mut found = Vec::new();
    if layout.usr_empty && facts.system.facts.has_separate_usr() {
        // It lies on another filesystem that was not looked into; that is said elsewhere.
        return found;
    }
    if layout.usr_empty {
        found.push(
            Finding::error(Kind::UsrEmpty, "/usr is empty. Nothing can run.")
                .seen("/usr is there and holds nothing; fstab names no filesystem for it")
                .screen("run-init: can't execute '/sbin/init': No such file or directory")
                .fix(Fix::advice(
                    "restore /usr from a backup, or add its filesystem to /etc/fstab",
                )),
        );
        return found;
    }
    found.extend(merged(facts));
    found.extend(directories(facts));
    found.extend(shell(facts));
    if facts.boots() {
        found.extend(init(facts));
    }
    found
}

/// Links of the merged /usr that are gone or lead elsewhere.
fn merged(facts: &Facts<'_>) -> Option<Finding> {
    let layout = &facts.health.layout;
    let leads_to_usr = |is: &Is| matches!(is, Is::Link(target, Some(FileKind::Directory)) if target.components().any(|part| part.as_os_str() == "usr"));
    let is_merged = layout.merged.iter().any(|(_, is)| leads_to_usr(is));
    let is_nixos = facts.family() == Family::NixOs;
    let broken: Vec<(&str, &Is)> = layout
        .merged
        .iter()
        .filter(|(path, is)| match is {
            Is::Link(_, end) => *end != Some(FileKind::Directory),
            Is::Absent => {
                let there_in_usr = layout.in_usr.contains(path);
                // /lib64 is no part of every merged system; where /usr/lib64 is, it is.
                there_in_usr && (is_merged || *path == "/bin") && !is_nixos
            }
            Is::Thing(kind) => *kind != FileKind::Directory,
            Is::Unreadable(_) => true,
        })
        .map(|(path, is)| (*path, is))
        .collect();
    let (first, _) = broken.first()?;
    let names = list(
        broken.iter().map(|(path, _)| (*path).to_string()),
        broken.len(),
    );
    let what = if broken.len() == 1 {
        format!(
            "{names} is no link to {} any more. Programs are not found.",
            usr(first)
        )
    } else {
        format!("{names} are no links into /usr any more. Programs are not found.")
    };
    let mut finding = Finding::error(Kind::UsrMerge, what)
        .screen("No such file or directory, for programs that are there");
    let mut fix = Fix::task(Task::Links);
    for (path, is) in broken {
        finding = finding.seen(match is {
            Is::Absent => format!("{path} is missing; {} is there", usr(path)),
            Is::Link(target, _) => format!(
                "{path} leads to {}, where no directory is",
                target.display()
            ),
            Is::Thing(_) => format!("{path} is neither a link nor a directory"),
            Is::Unreadable(errno) => format!("{path} cannot be looked at (errno {errno})"),
        });
        let name = path.trim_start_matches('/');
        fix = fix.outside(format!("ln -sfn usr/{name} \"$ROOT/{name}\""));
    }
    Some(finding.fix(fix))
}

fn usr(path: &str) -> String {
    format!("/usr{path}")
}

fn directories(facts: &Facts<'_>) -> Option<Finding> {
    let layout = &facts.health.layout;
    // systemd and initramfs make /root, /tmp and /var where they are missing; not these.
    let needed = |path: &str| {
        matches!(
            path,
            "/dev" | "/proc" | "/sys" | "/run" | "/etc" | "/var" | "/tmp"
        )
    };
    let missing: Vec<&str> = layout
        .directories
        .iter()
        .filter(|(path, is)| needed(path) && is.end() != Some(FileKind::Directory))
        .map(|(path, _)| *path)
        .collect();
    if missing.is_empty() || !facts.boots() {
        return None;
    }
    let names = list(missing.iter().map(ToString::to_string), missing.len());
    let mode = |path: &str| if path == "/tmp" { "1777" } else { "0755" };
    let fix = missing.iter().fold(Fix::default(), |fix, path| {
        fix.outside(format!("install -d -m {} \"$ROOT{path}\"", mode(path)))
    });
    let verb = if missing.len() == 1 {
        "is no directory"
    } else {
        "are no directories"
    };
    Some(
        Finding::error(
            Kind::DirectoryMissing,
            format!("{names} {verb}. Booting stops there."),
        )
        .seen(format!("{names} {verb}"))
        .screen("Failed to mount API filesystems")
        .fix(fix),
    )
}

fn shell(facts: &Facts<'_>) -> Option<Finding> {
    let layout = &facts.health.layout;
    let absent = matches!(layout.shell, Some(Is::Absent));
    if layout.shell_runs || absent && facts.is_bare() {
        return None;
    }
    let seen = match layout.shell.as_ref()? {
        Is::Absent => "/bin/sh is missing".to_string(),
        Is::Link(target, None) => {
            format!("/bin/sh leads to {}, which is missing", target.display())
        }
        Is::Link(target, Some(_)) => {
            format!("/bin/sh leads to {}, which is no program", target.display())
        }
        Is::Thing(_) => "/bin/sh is empty, or nobody may execute it".to_string(),
        Is::Unreadable(errno) => format!("/bin/sh cannot be looked at (errno {errno})"),
    };
    let fix = match facts.family() {
        Family::Debian => Fix::task(Task::Links).outside("ln -sfn dash \"$ROOT/bin/sh\""),
        Family::Alpine => Fix::task(Task::Links).outside("ln -sfn /bin/busybox \"$ROOT/bin/sh\""),
        _ => Fix::task(Task::Links).outside("ln -sfn bash \"$ROOT/usr/bin/sh\""),
    };
    let package = match facts.family() {
        Family::Debian => "dash",
        Family::Alpine => "busybox",
        _ => "bash",
    };
    let names_a_link = matches!(layout.shell, Some(Is::Absent))
        || layout
            .shell
            .as_ref()
            .is_some_and(|is| matches!(is, Is::Link(target, _) if !is_usual(target)));
    let fix = if names_a_link {
        fix
    } else {
        fixes::reinstall_from_outside(facts.family(), package)
    };
    Some(
        Finding::error(
            Kind::Shell,
            "/bin/sh does not work. No script runs, and package scripts fail.",
        )
        .seen(seen)
        .file("/bin/sh")
        .file("/usr/bin/sh")
        .file(shell_target(layout.shell.as_ref()))
        .screen("/bin/sh: No such file or directory")
        .fix(fix),
    )
}

/// The program that /bin/sh leads to.
fn shell_target(is: Option<&Is>) -> String {
    match is {
        Some(Is::Link(target, _)) => {
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            format!("/usr/bin/{name}")
        }
        _ => "/usr/bin/sh".to_string(),
    }
}

fn is_usual(target: &Path) -> bool {
    let name = target.file_name().unwrap_or_default();
    ["dash", "bash", "busybox", "mksh"]
        .iter()
        .any(|usual| name == *usual)
}

fn init(facts: &Facts<'_>) -> Option<Finding> {
    let layout = &facts.health.layout;
    if facts.family() == Family::NixOs {
        return None;
    }
    // The kernel and every initramfs start /sbin/init.
    let broken = layout
        .broken_inits
        .iter()
        .find(|(path, _)| *path == "/sbin/init");
    let usual = layout
        .inits
        .iter()
        .any(|path| matches!(*path, "/sbin/init" | "/usr/sbin/init"));
    if usual && broken.is_none()
        || !usual && broken.is_none() && !layout.inits.is_empty() && !layout.systemd
    {
        return None;
    }
    let seen = match broken {
        Some((path, target)) => format!("{path} leads to {}, which is missing", target.display()),
        None => "/sbin/init is missing".to_string(),
    };
    let fix = match (facts.family(), layout.systemd) {
        (_, true) => {
            Fix::task(Task::Links).outside("ln -sfn /lib/systemd/systemd \"$ROOT/sbin/init\"")
        }
        (Family::Debian, false) => fixes::reinstall(Family::Debian, "systemd")
            .inside("apt-get install --reinstall systemd-sysv"),
        (family, false) => fixes::reinstall(family, "systemd"),
    };
    Some(
        Finding::error(Kind::Init, "there is no init. The kernel starts nothing.")
            .seen(seen)
            .screen("Kernel panic - not syncing: No working init found")
            .fix(fix),
    )
}
