//! The small things, and a repair that did not come to its end.

use super::fixes::{self, Fix, Task};
use super::{Facts, Finding, Kind, list};
use crate::probe::health::state::MachineId;
use crate::probe::lastboot::show;

const DAY: i64 = 86_400;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let state = &facts.health.state;
    let mut found = Vec::new();
    if let Some(repair) = state.unfinished.last() {
        let id = repair
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        found.push(
            Finding::error(
                Kind::UnfinishedRepair,
                "a repair by newroot was interrupted. Finish or undo it before anything else.",
            )
            .seen(list(
                state.unfinished.iter().map(ToString::to_string),
                state.unfinished.len(),
            ))
            .fix(Fix::advice(format!(
                "newroot repair --undo {}",
                fixes::word(&id)
            ))),
        );
    }
    if state.machine_id == MachineId::Bad {
        found.push(
            Finding::error(
                Kind::MachineId,
                "/etc/machine-id is damaged. The journal and the network may not start.",
            )
            .seen("/etc/machine-id is not 32 hexadecimal digits")
            .screen("Failed to get machine id; or: Failed to open journal")
            .fix(
                Fix::default()
                    .inside("rm -f /etc/machine-id")
                    .inside("systemd-machine-id-setup"),
            ),
        );
    } else if state.machine_id == MachineId::Absent && facts.health.layout.systemd && facts.boots()
    {
        found.push(
            Finding::note(
                Kind::MachineId,
                "/etc/machine-id is missing; the next boot makes a new one.",
            )
            .seen("/etc/machine-id is not there")
            .fix(Fix::default().inside("systemd-machine-id-setup")),
        );
    }
    if !state.preload_missing.is_empty() {
        let names = list(
            state.preload_missing.iter().cloned(),
            state.preload_missing.len(),
        );
        let mut finding =
            Finding::warning(Kind::Preload, "/etc/ld.so.preload names a library that is not there. Every program complains, and some fail.")
                .seen(format!("/etc/ld.so.preload: {names}"))
                .screen("ERROR: ld.so: object ... from /etc/ld.so.preload cannot be preloaded")
                .fix(Fix::task(Task::Libraries).inside("editor /etc/ld.so.preload"));
        finding.files.clone_from(&state.preload_missing);
        found.push(finding);
    }
    found.extend(selinux(facts));
    found.extend(clock(facts));
    if let Some(swap) = &facts.system.hibernated {
        found.push(
            Finding::note(Kind::Hibernated, "the system is hibernated. Mounted read-write, its filesystems would be damaged when it wakes.")
                .seen(format!("{swap} holds its memory"))
                .fix(Fix::advice("wake it up and shut it down")),
        );
    }
    found
}

fn selinux(facts: &Facts<'_>) -> Vec<Finding> {
    let selinux = &facts.health.state.selinux;
    let mut found = Vec::new();
    let on = matches!(selinux.mode.as_str(), "enforcing" | "permissive");
    if selinux.mode == "enforcing" && !selinux.has_policy {
        let package = format!("selinux-policy-{}", selinux.policy);
        found.push(
            Finding::error(
                Kind::Selinux,
                "SELinux is to be enforced, and its policy is not there. Booting stops.",
            )
            .seen(format!(
                "/etc/selinux/config: SELINUXTYPE={}; no /etc/selinux/{}/policy/policy.*",
                selinux.policy, selinux.policy
            ))
            .screen("systemd: Failed to load SELinux policy, freezing.")
            .fix(
                fixes::reinstall(facts.family(), &package)
                    .or("or boot once with enforcing=0 on the kernel's command line"),
            ),
        );
    }
    let known = ["enforcing", "permissive", "disabled", ""].contains(&selinux.mode.as_str());
    if !known {
        found.push(
            Finding::error(
                Kind::Selinux,
                format!(
                    "/etc/selinux/config asks for the mode \"{}\", which there is not.",
                    selinux.mode
                ),
            )
            .seen("/etc/selinux/config: SELINUX is enforcing, permissive or disabled")
            .fix(Fix::task(Task::Selinux).inside("editor /etc/selinux/config")),
        );
    }
    if on && selinux.relabel {
        found.push(
            Finding::note(
                Kind::Relabel,
                "SELinux relabels all files at the next boot, which takes minutes, and reboots.",
            )
            .seen("/.autorelabel is there"),
        );
    }
    found
}

/// A boot that lies in the future, or before the release was made: the clock is wrong, here or
/// there, and certificates, logs and fsck trip over it.
fn clock(facts: &Facts<'_>) -> Option<Finding> {
    let last = facts.system.last_boot.as_ref()?;
    let telling =
        last.source.to_string().contains("journal") || last.source.to_string().contains("wtmp");
    if !telling {
        return None;
    }
    let (what, seen) = if last.when > facts.now + DAY {
        (
            "the last boot lies in the future: this machine's clock is slow, or that system's was fast.",
            format!(
                "{}: last boot {}; it is {} now",
                last.source,
                show(last.when),
                show(facts.now)
            ),
        )
    } else if facts.health.state.built > 0 && last.when < facts.health.state.built - 400 * DAY {
        (
            "the last boot is older than the release: the clock was wrong. Check the battery.",
            format!(
                "{}: last boot {}; the release is of {}",
                last.source,
                show(last.when),
                show(facts.health.state.built)
            ),
        )
    } else {
        return None;
    };
    Some(
        Finding::warning(Kind::Clock, what)
            .seen(seen)
            .screen("superblock last mount time is in the future")
            .fix(
                Fix::default()
                    .outside("hwclock --systohc")
                    .or("after setting the time here"),
            ),
    )
}
