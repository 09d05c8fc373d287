//! What will be in the way, named before anybody goes in, with the way out.

use crate::cmd::enter;
use crate::cmd::open::{MountState, Opened};
use crate::error::Failure;
use crate::model::RootPath;
use crate::probe::arch;
use crate::probe::boot::Firmware;
use crate::probe::fstab::Purpose;
use crate::probe::system::{Place, System};
use crate::root::{Host, InRoot, Tree};
use crate::ui::escape_bytes;

/// One thing that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// What it is.
    pub(super) text: String,
    /// What helps; may be empty.
    pub(super) way: String,
}

fn warning(text: impl Into<String>, way: impl Into<String>) -> Warning {
    Warning {
        text: text.into(),
        way: way.into(),
    }
}

/// Looks at a target that was opened.
pub(super) fn of(opened: &Opened) -> Vec<Warning> {
    let Ok(tree) = InRoot::open(&opened.root) else {
        return Vec::new();
    };
    let mut found: Vec<Warning> = opened
        .warnings
        .iter()
        .map(|text| warning(text.clone(), ""))
        .collect();
    if let Some(system) = &opened.system {
        found.extend(machine(system, own_machine()));
        found.extend(firmware(system, is_uefi(), &opened.name));
        found.extend(unmounted(&tree, opened, system));
        found.extend(kind(system));
    }
    found.extend(shell(&tree, opened));
    found
}

/// Of newroot's own program file.
fn own_machine() -> Option<&'static str> {
    let file = Host.open(&RootPath::new("/proc/self/exe")).ok()?;
    arch::of_file(&file)
}

fn is_uefi() -> bool {
    Host.stat(&RootPath::new("/sys/firmware/efi")).is_ok()
}

/// A boot entry can be written only by a system that was booted the same way.
fn firmware(system: &System, live_is_uefi: bool, name: &str) -> Option<Warning> {
    let [only] = system.firmware.as_slice() else {
        return None;
    };
    match (only, live_is_uefi) {
        (Firmware::Uefi, false) => Some(warning(
            format!(
                "{name} boots by UEFI, this live system was booted by BIOS: no boot entry can be written"
            ),
            "start the live medium again by its UEFI entry in the firmware's boot menu",
        )),
        (Firmware::Bios, true) => Some(warning(
            format!(
                "{name} boots by BIOS, this live system was booted by UEFI: a boot loader would be installed for UEFI"
            ),
            "start the live medium again by its BIOS (legacy) entry, or name the target: grub-install --target=i386-pc",
        )),
        _ => None,
    }
}

fn machine(system: &System, live: Option<&str>) -> Option<Warning> {
    let (target, live) = (system.facts.arch?, live?);
    let runs = target == live || (live, target) == ("amd64", "i386");
    (!runs).then(|| {
        warning(
            format!("its programs are for {target}, this machine is {live}: the kernel says \"Exec format error\""),
            format!("a live medium for {target}; or install qemu-user-static, which runs them slowly"),
        )
    })
}

/// /usr, /boot and the ESP where fstab wants them and nothing is mounted.
fn unmounted(tree: &InRoot, opened: &Opened, system: &System) -> Vec<Warning> {
    let mut found = Vec::new();
    for entry in &system.facts.fstab.entries {
        let point = entry.mount_point.normalized();
        let name = point.to_string();
        let counts = ["/usr", "/boot", "/boot/efi", "/efi"].contains(&name.as_str())
            && matches!(entry.purpose(), Purpose::Device | Purpose::Bind);
        if !counts || is_mounted(opened, &point) {
            continue;
        }
        let is_empty = tree.list(&point).map_or(true, |names| names.is_empty());
        if !is_empty && opened.adopted && name != "/usr" {
            continue;
        }
        found.push(match name.as_str() {
            "/usr" if !is_empty && has_programs(tree) => continue,
            "/usr" => warning(
                "its /usr is a filesystem of its own and not mounted: hardly any program is there",
                format!("fstab line {} says which device it is", entry.line),
            ),
            _ => warning(
                format!("{name} is empty, and its fstab mounts something there: a new kernel or boot loader would go to the wrong place"),
                format!("mount what fstab line {} names, before you change anything there", entry.line),
            ),
        });
    }
    found
}

fn has_programs(tree: &InRoot) -> bool {
    tree.list(&RootPath::new("/usr/bin"))
        .is_ok_and(|names| !names.is_empty())
}

fn is_mounted(opened: &Opened, point: &RootPath) -> bool {
    opened.mounts.iter().any(|mount| {
        mount.point.normalized() == *point && matches!(mount.state, MountState::Mounted { .. })
    })
}

/// Systems that are not changed file by file.
fn kind(system: &System) -> Option<Warning> {
    let deployment = matches!(
        &system.place,
        Place::Volume {
            deployment: Some(_),
            ..
        }
    );
    if deployment {
        return Some(warning(
            "an ostree system: /usr belongs to the deployment, a change there is lost",
            "change /etc, /var and boot entries only; or boot the deployment before",
        ));
    }
    (system.facts.os.id == "nixos").then(|| {
        warning(
            "a NixOS: programs are found through /nix/var/nix/profiles/system, and /etc is generated",
            "run: /nix/var/nix/profiles/system/sw/bin/bash, and change its configuration",
        )
    })
}

/// Whether any shell of the target can start.
pub(super) fn has_shell(opened: &Opened) -> bool {
    InRoot::open(&opened.root).is_ok_and(|tree| shell(&tree, opened).is_none())
}

/// Whether any shell of the target can start, by the same look that comes before it is started.
fn shell(tree: &InRoot, opened: &Opened) -> Option<Warning> {
    let home = RootPath::root();
    let wanted = enter::Wanted {
        words: &[],
        user: None,
        env: &[],
        given: &[],
        first_in_path: None,
        name: opened.name.as_ref(),
        directory: Some(home.as_path()),
        privileged: true,
        lent: None,
    };
    let error = enter::choose(tree, &opened.root, wanted).err()?;
    let why = match error.downcast_ref::<Failure>() {
        Some(failure) => failure.to_string(),
        None => error.to_string(),
    };
    let way = "tools of this live system work in it: newroot rescue --lent (or choose: lent)";
    Some(warning(
        format!("no shell of it can start: {}", escape_bytes(why.as_bytes())),
        way,
    ))
}
