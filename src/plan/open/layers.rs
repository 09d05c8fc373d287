//! What lies below the filesystems: which of it has to be put together, and in which order.

use super::{Choices, Facts, Next, Refusal};
use crate::plan::StorageOp;
use crate::plan::storage::{Array, Crypt, Group, LoopPart};
use crate::probe::fstab::{Entry, Spec};
use crate::probe::inventory::{Found, Origin, Usage, Volume};
use crate::probe::scan::{Apart, Kit};
use crate::probe::system::System;

/// The longest name that device-mapper takes.
const LONGEST_NAME: usize = 127;

fn one(op: StorageOp, required: bool) -> Next {
    Next::Do {
        steps: vec![op],
        required,
    }
}

/// The TARGET is a locked volume: what is inside is not known before it is open.
pub(super) fn locked(facts: &Facts<'_>, choices: &Choices, index: usize) -> Next {
    let locked = &facts.locked[index];
    unlock(facts, choices, locked.volume, true)
        .unwrap_or_else(|| Next::Refuse(Refusal::NoKey(locked.id.clone())))
}

/// Nothing fits: it may lie on what nobody has put together yet.
pub(super) fn anything(facts: &Facts<'_>, choices: &Choices) -> Option<Next> {
    let read_only = Choices {
        write: false,
        ..*choices
    };
    facts
        .apart
        .iter()
        .find_map(|apart| put_together(facts, &read_only, apart, false))
}

/// The layers that a system and its fstab need.
pub(super) fn of_system(facts: &Facts<'_>, choices: &Choices, system: &System) -> Option<Next> {
    let root = system.volume();
    let mut wanted: Vec<(usize, bool)> = root.into_iter().map(|index| (index, true)).collect();
    if let crate::probe::system::Place::Volume { volumes, .. } = &system.place {
        wanted.extend(volumes.iter().skip(1).map(|index| (*index, false)));
    }
    wanted.extend(system.esp.map(|index| (index, false)));
    let mut lost = false;
    for want in &system.wants {
        let entry = entry_of(system, want.line);
        if entry.is_none_or(|entry| !is_selected(entry, choices)) {
            continue;
        }
        match want.found {
            Found::Here(index) | Found::Unreliable(Some(index)) => wanted.push((index, false)),
            Found::Locked(index) => {
                if let Some(next) = unlock(facts, choices, index, false) {
                    return Some(next);
                }
            }
            Found::Missing | Found::Unreliable(None) => lost = true,
        }
    }
    for (index, required) in wanted {
        if let Some(next) = ground(facts, choices, index, required) {
            return Some(next);
        }
    }
    let more = lost.then(|| {
        let apart = facts.apart.iter();
        let found = apart
            .filter_map(|apart| put_together(facts, choices, apart, false))
            .find(|next| !matches!(next, Next::Refuse(_)));
        found.or_else(|| of_crypttab(facts, choices, system))
    });
    more.flatten().or_else(|| rename(facts, system))
}

fn entry_of(system: &System, line: usize) -> Option<&Entry> {
    let mut entries = system.facts.fstab.entries.iter();
    entries.find(|entry| entry.line == line)
}

/// Whether this line of fstab is mounted at all.
pub(super) fn is_selected(entry: &Entry, choices: &Choices) -> bool {
    entry.fs_type != "swap" && (choices.noauto || !entry.has("noauto"))
}

/// Every volume of crypttab, as a boot would: something inside may be what fstab misses.
fn of_crypttab(facts: &Facts<'_>, choices: &Choices, system: &System) -> Option<Next> {
    facts.locked.iter().find_map(|locked| {
        let crypttab = &system.facts.crypttab;
        let entry = facts.inventory.in_crypttab(locked.volume, crypttab)?;
        let at_boot = !entry.is_volatile() && !entry.options.iter().any(|word| word == "noauto");
        at_boot
            .then(|| unlock(facts, choices, locked.volume, false))
            .flatten()
    })
}

/// What makes a device of volume `index`.
fn ground(facts: &Facts<'_>, choices: &Choices, index: usize, required: bool) -> Option<Next> {
    let volume = &facts.inventory.volumes[index];
    let apart = |wanted: &dyn Fn(&Apart) -> bool| {
        let found = facts.apart.iter().find(|apart| wanted(apart))?;
        put_together(facts, choices, found, required)
    };
    match volume.origin {
        Origin::Kernel => None,
        Origin::Part | Origin::Image => attach(facts, choices, volume, required),
        Origin::Mirror => apart(&|apart| apart.name == volume.name),
        Origin::Logical => {
            let group = volume.logical.as_ref().map(|(group, _)| group.as_str());
            apart(&|apart| {
                let Kit::Group { members, .. } = &apart.kit else {
                    return false;
                };
                let below = |at: &usize| facts.inventory.volumes[*at].disks == volume.disks;
                Some(apart.name.as_str()) == group && members.iter().any(below)
            })
        }
    }
}

/// Loop devices for every part of the file or disk that `volume` is a part of.
fn attach(facts: &Facts<'_>, choices: &Choices, volume: &Volume, required: bool) -> Option<Next> {
    let file = &volume.part.as_ref()?.file;
    if facts.tried.attached.contains(file) {
        return None;
    }
    let of_file = |origin: Origin| {
        let volumes = facts.inventory.volumes.iter();
        volumes.filter(move |other| {
            other.origin == origin && other.part.as_ref().is_some_and(|part| part.file == *file)
        })
    };
    let is_whole = of_file(Origin::Part).next().is_none();
    let origin = if is_whole {
        Origin::Image
    } else {
        Origin::Part
    };
    let steps: Vec<StorageOp> = of_file(origin)
        .filter_map(|volume| {
            let part = volume.part.as_ref()?;
            Some(StorageOp::Attach(LoopPart {
                file: part.file.clone(),
                name: volume.name.clone(),
                start: part.start,
                size: part.size,
                read_only: !choices.write,
            }))
        })
        .collect();
    Some(Next::Do { steps, required })
}

/// Assembles or activates, after what that lies on. What is not required and cannot be had is no
/// reason to stop: what fstab misses is told at the end.
fn put_together(
    facts: &Facts<'_>,
    choices: &Choices,
    apart: &Apart,
    required: bool,
) -> Option<Next> {
    let (Kit::Array { members, .. } | Kit::Group { members, .. }) = &apart.kit else {
        return None;
    };
    for member in members {
        if let Some(next) = ground(facts, choices, *member, required) {
            return Some(next);
        }
    }
    let refuse = |refusal: Refusal| required.then_some(Next::Refuse(refusal));
    match &apart.kit {
        Kit::Array { uuid, disks, .. } => {
            if facts.tried.arrays.contains(uuid) {
                return None;
            }
            let lacks = u32::try_from(members.len()).is_ok_and(|here| here < *disks);
            if lacks && choices.write && !choices.degraded {
                let name = apart.name.clone();
                return refuse(Refusal::Degraded(name, members.len(), *disks));
            }
            let name = apart.name.strip_prefix("md/").unwrap_or(&apart.name);
            let array = Array {
                name: safe_name(name, uuid),
                uuid: uuid.clone(),
                members: paths(facts, members),
                read_only: !choices.write,
                degraded: lacks,
            };
            Some(one(StorageOp::Assemble(array), required))
        }
        Kit::Group { uuid, missing, .. } => {
            if facts.tried.groups.contains(uuid) {
                return None;
            }
            let others = namesakes(facts, apart, uuid);
            if !others.is_empty() {
                return refuse(Refusal::SameName(apart.name.clone(), others));
            }
            if *missing > 0 {
                return refuse(Refusal::Incomplete(apart.name.clone(), *missing));
            }
            let group = Group {
                name: apart.name.clone(),
                uuid: uuid.clone(),
                read_only: !choices.write,
            };
            Some(one(StorageOp::Activate(group), required))
        }
        Kit::Unknown => None,
    }
}

/// UUIDs of all groups of this name, when there are several; an active one has no UUID here.
fn namesakes(facts: &Facts<'_>, apart: &Apart, uuid: &str) -> Vec<String> {
    let mut all: Vec<String> = facts
        .apart
        .iter()
        .filter(|other| other.name == apart.name)
        .filter_map(|other| match &other.kit {
            Kit::Group { uuid, .. } => Some(uuid.clone()),
            _ => None,
        })
        .collect();
    let active = facts.inventory.volumes.iter().any(|volume| {
        let group = volume.logical.as_ref().map(|(group, _)| group);
        volume.origin == Origin::Kernel && group == Some(&apart.name)
    });
    if active {
        all.push("active".to_string());
    }
    all.retain(|other| other != uuid);
    if !all.is_empty() {
        all.insert(0, uuid.to_string());
    }
    all
}

fn paths(facts: &Facts<'_>, members: &[usize]) -> Vec<std::path::PathBuf> {
    let members = members.iter();
    members
        .map(|at| facts.inventory.volumes[*at].path.clone())
        .collect()
}

/// A name of an array comes from a disk and becomes a path below /dev/md.
fn safe_name(name: &str, uuid: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let sound = !name.is_empty() && !name.starts_with(['-', '.']) && name.chars().all(plain);
    if sound && name.len() < 32 {
        return name.to_string();
    }
    let digits = uuid.chars().filter(char::is_ascii_alphanumeric).take(8);
    digits.collect()
}

/// Opens volume `index`. `None` when it is open, or was given up.
fn unlock(facts: &Facts<'_>, choices: &Choices, index: usize, required: bool) -> Option<Next> {
    let volume = &facts.inventory.volumes[index];
    let uuid = &volume.superblock.uuid;
    if facts.tried.given_up.contains(uuid) {
        return None;
    }
    let locked = facts.locked.iter().find(|locked| locked.volume == index)?;
    if let Some(next) = ground(facts, choices, index, required) {
        return Some(next);
    }
    if let Usage::Held(holder) = &volume.usage {
        let refusal = Refusal::InUse(volume.name.clone(), holder.clone());
        return required.then_some(Next::Refuse(refusal));
    }
    if volume.superblock.kind != "crypto_LUKS" {
        let refusal = Refusal::Unsupported(locked.id.clone(), locked.what.clone());
        return required.then_some(Next::Refuse(refusal));
    }
    let discards = |system: &System| {
        let entry = facts.inventory.in_crypttab(index, &system.facts.crypttab);
        entry.is_some_and(|entry| entry.options.iter().any(|word| word == "discard"))
    };
    let crypt = Crypt {
        device: device_of(volume),
        shown: volume.name.clone(),
        uuid: uuid.clone(),
        id: locked.id.clone(),
        read_only: !choices.write,
        discards: facts.systems.iter().any(discards),
    };
    Some(one(StorageOp::Unlock(crypt), required))
}

/// The node of a volume; of one that an earlier step would make, the node it will have.
pub(super) fn device_of(volume: &Volume) -> std::path::PathBuf {
    match volume.origin {
        Origin::Mirror | Origin::Logical => std::path::Path::new("/dev").join(&volume.name),
        _ => volume.path.clone(),
    }
}

/// The target's initramfs hooks look for the names of its crypttab.
fn rename(facts: &Facts<'_>, system: &System) -> Option<Next> {
    facts.tried.unlocked.iter().find_map(|(crypt, now)| {
        if facts.tried.named.contains(&crypt.uuid) {
            return None;
        }
        let volumes = &facts.inventory.volumes;
        let index = volumes
            .iter()
            .position(|volume| volume.superblock.uuid == crypt.uuid && is_luks(volume))?;
        let entry = facts.inventory.in_crypttab(index, &system.facts.crypttab)?;
        let taken = volumes.iter().any(|volume| volume.name == entry.name);
        let usable = entry.name != *now && !taken && is_mapper_name(&entry.name);
        usable.then(|| {
            let op = StorageOp::Rename {
                crypt: crypt.clone(),
                name: entry.name.clone(),
            };
            one(op, false)
        })
    })
}

fn is_luks(volume: &Volume) -> bool {
    volume.superblock.kind == "crypto_LUKS"
}

/// What udev and device-mapper write as it is.
pub(super) fn is_mapper_name(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "#+-.:=@_".contains(letter);
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with('-')
        && name != "control"
        && name.chars().all(plain)
}

/// How fstab wrote a device.
pub(super) fn spelled(spec: &Spec) -> String {
    match spec {
        Spec::Uuid(value) => format!("UUID={value}"),
        Spec::Label(value) => format!("LABEL={value}"),
        Spec::PartUuid(value) => format!("PARTUUID={value}"),
        Spec::PartLabel(value) => format!("PARTLABEL={value}"),
        Spec::Device(path) => path.display().to_string(),
        Spec::Path(path) => path.as_path().display().to_string(),
        Spec::Network(text) | Spec::Virtual(text) => text.clone(),
    }
}
