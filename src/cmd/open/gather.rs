//! One look: what is there now, what TARGET leads to, and what is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cmd::target;
use crate::error::Failure;
use crate::exec::storage::{Parts, mount_points};
use crate::model::RootPath;
use crate::plan::open::Trouble;
use crate::probe::block::{self, DeviceKind};
use crate::probe::condition;
use crate::probe::inventory::{Inventory, Slot};
use crate::probe::loops;
use crate::probe::scan::{self, Found, Known, Options, Scan};
use crate::probe::system::System;
use crate::probe::target::{Choice, Name, choose};
use crate::root::read;
use crate::sys::loopdev;
use crate::ui::shell_quote;

/// A key file of crypttab is a few bytes, or one of LUKS' own limit.
const MOST_KEY: usize = 8 << 20;

/// What a look found.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) found: Found,
    pub(super) choice: Choice,
    pub(super) troubles: Vec<(usize, Trouble)>,
    pub(super) mounted: Vec<PathBuf>,
    /// Keys that lie in the target, by UUID of the volume they open.
    pub(super) keys: Vec<(String, Vec<u8>)>,
}

impl Look {
    pub(super) fn system(&self) -> Option<&System> {
        match self.choice {
            Choice::System(index) => self.found.systems.get(index),
            _ => None,
        }
    }
}

/// What is known of the parts that have loop devices, from the look that found them.
pub(super) type Partitions = BTreeMap<(PathBuf, u64), Known>;

/// Looks, and closes the look again: nothing may be mounted while it is open.
pub(super) fn look(
    name: Option<&Name>,
    parts: &Parts,
    partitions: &Partitions,
) -> anyhow::Result<Look> {
    let scan = scan::scan(&options(name, parts, partitions))
        .map_err(|error| target::scan_failure(&error))?;
    let choice = choose(&scan.inventory, &scan.systems, &scan.locked, name);
    let keys = match choice {
        Choice::System(index) => keys_inside(&scan, &scan.systems[index]),
        _ => Vec::new(),
    };
    let troubles = match choice {
        Choice::System(index) => troubles(&scan.inventory, &scan.systems[index]),
        _ => Vec::new(),
    };
    let found = scan.finish().map_err(|left| target::left_open(&left))?;
    Ok(Look {
        found,
        choice,
        troubles,
        mounted: mount_points(),
        keys,
    })
}

/// An image is looked at alone: its fstab must not find this machine's own disks.
fn options(name: Option<&Name>, parts: &Parts, partitions: &Partitions) -> Options {
    let mut options = Options::default();
    for (node, part) in parts.attached() {
        let known = partitions.get(&(part.file.clone(), part.start));
        let known = known.cloned().unwrap_or_else(|| Known {
            name: part.name.clone(),
            slot: None,
            disks: vec![part.name.clone()],
        });
        options.parts.insert(node.to_path_buf(), known);
    }
    if let Some(Name::Image(path)) = name {
        let nodes = options.parts.keys().cloned();
        options.only = match options.parts.is_empty() {
            true => vec![path.clone()],
            false => nodes.collect(),
        };
    }
    options
}

/// What the partition tables say of parts without a device: it has to be kept, since no kernel
/// knows it of a loop device.
pub(super) fn partitions(inventory: &Inventory, into: &mut Partitions) {
    for volume in &inventory.volumes {
        if let Some(part) = &volume.part {
            let slot: Option<Slot> = volume.slot.clone();
            let known = Known {
                name: volume.name.clone(),
                slot,
                disks: volume.disks.clone(),
            };
            into.insert((part.file.clone(), part.start), known);
        }
    }
}

/// Key files that crypttab names inside of the target.
fn keys_inside(scan: &Scan, system: &System) -> Vec<(String, Vec<u8>)> {
    let mut keys = Vec::new();
    for locked in &scan.locked {
        let crypttab = &system.facts.crypttab;
        let Some(entry) = scan.inventory.in_crypttab(locked.volume, crypttab) else {
            continue;
        };
        let Some(path) = entry.key.as_ref().filter(|_| !entry.is_volatile()) else {
            continue;
        };
        let Ok(view) = scan.view(system) else {
            continue;
        };
        if let Ok(mut bytes) = read(&view, &RootPath::new(path), MOST_KEY) {
            let number = |name: &str| {
                let mut words = entry.options.iter();
                let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
                value.and_then(|value| value.parse::<usize>().ok())
            };
            bytes.drain(..number("keyfile-offset").unwrap_or(0).min(bytes.len()));
            bytes.truncate(number("keyfile-size").unwrap_or(usize::MAX));
            let uuid = &scan.inventory.volumes[locked.volume].superblock.uuid;
            keys.push((uuid.clone(), bytes));
        }
    }
    keys
}

fn troubles(inventory: &Inventory, system: &System) -> Vec<(usize, Trouble)> {
    use crate::probe::inventory::Found;
    let wanted = system.wants.iter().filter_map(|want| match want.found {
        Found::Here(index) | Found::Unreliable(Some(index)) => Some(index),
        _ => None,
    });
    let mut indexes: Vec<usize> = wanted.chain(system.volume()).chain(system.esp).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let mut found = Vec::new();
    for index in indexes {
        let volume = &inventory.volumes[index];
        let Ok(medium) = loops::open(&volume.path) else {
            continue;
        };
        let condition = condition::of(&volume.superblock.kind, &medium);
        let table = [
            (condition.orphans, Trouble::Orphans),
            (condition.errors, Trouble::Errors),
            (condition.dirty_ntfs, Trouble::DirtyNtfs),
        ];
        found.extend(
            table
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, what)| (index, *what)),
        );
    }
    found
}

/// Adds what an earlier mount has shown of NTFS volumes.
pub(super) fn remember_windows(look: &mut Look, hibernated: &[String]) {
    for (index, volume) in look.found.inventory.volumes.iter().enumerate() {
        if hibernated.contains(&volume.superblock.uuid) && volume.superblock.kind == "ntfs" {
            look.troubles.push((index, Trouble::DirtyNtfs));
        }
    }
}

/// Whether somebody has a loop device on this image already: two of them would not know of each
/// other's writes.
pub(super) fn refuse_used_image(path: &Path) -> Result<(), Failure> {
    let used = block::machine().into_values().find(|device| {
        matches!(device.kind, DeviceKind::Loop { .. })
            && loopdev::is_bound_to(&device.path(), path).unwrap_or(false)
    });
    let Some(device) = used else {
        return Ok(());
    };
    let quoted = shell_quote(path);
    Err(Failure::new(
        format!("cannot open {}", path.display()),
        format!("{} shows it already", device.path().display()),
    )
    .hint(
        "see who did that",
        format!("losetup -l -j {quoted}; newroot ps"),
    )
    .hint("if newroot mounted it", format!("newroot umount {quoted}")))
}
