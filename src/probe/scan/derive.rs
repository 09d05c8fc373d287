//! Volumes that nobody put together, seen all the same: a mirror through its newest member, a
//! logical volume through its physical volume. Read-only loop devices, no md, no device-mapper,
//! so nothing has to be taken back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::attach::attach_volumes;
use super::{Apart, Kit, Scan, ScanError};
use crate::probe::inventory::{Origin, Usage, Volume};
use crate::probe::loops::{self, Part};
use crate::probe::lvm::{self, Group};
use crate::probe::md;

/// A part that becomes a volume.
pub(super) struct Wanted {
    pub(super) part: Part,
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) logical: Option<(String, String)>,
    pub(super) disks: Vec<String>,
    pub(super) model: String,
}

fn free<'s>(scan: &'s Scan, kind: &str) -> impl Iterator<Item = (usize, &'s Volume)> {
    let volumes = scan.inventory.volumes.iter().enumerate();
    volumes.filter(move |(_, volume)| {
        volume.superblock.kind == kind && volume.usage == Usage::Free && volume.own.is_none()
    })
}

/// Arrays that are not assembled.
pub(super) fn arrays(scan: &mut Scan) -> Result<(), ScanError> {
    let mut arrays: BTreeMap<String, Vec<(usize, md::Member)>> = BTreeMap::new();
    for (index, volume) in free(scan, "linux_raid_member") {
        if let Some(member) = loops::open(&volume.path)
            .ok()
            .and_then(|medium| md::read(&medium))
        {
            let array = arrays.entry(volume.superblock.uuid.clone()).or_default();
            array.push((index, member));
        }
    }
    let mut wanted = Vec::new();
    for (uuid, members) in arrays {
        let on = |index: &usize| &scan.inventory.volumes[*index];
        let newest = members
            .iter()
            .filter(|(_, member)| !member.incomplete)
            .max_by_key(|(_, member)| member.events);
        let Some((index, member)) = newest else {
            continue;
        };
        let name = member.name.rsplit(':').next().unwrap_or_default();
        let name = format!("md/{}", if name.is_empty() { uuid.as_str() } else { name });
        let mut note = "not assembled".to_string();
        if (members.len() as u64) < u64::from(member.disks) {
            note = format!("{note}, {} of {} members here", members.len(), member.disks);
        }
        if member.level == 1 {
            note.push_str(", read from its newest member");
            wanted.push(Wanted {
                part: Part {
                    file: on(index).path.clone(),
                    start: member.start,
                    size: member.size,
                },
                name: name.clone(),
                origin: Origin::Mirror,
                logical: None,
                disks: members
                    .iter()
                    .flat_map(|(at, _)| on(at).disks.clone())
                    .collect(),
                model: String::new(),
            });
        }
        scan.apart.push(Apart {
            name,
            what: format!("md raid{}", member.level),
            on: members.iter().map(|(at, _)| on(at).name.clone()).collect(),
            note,
            kit: Kit::Array {
                uuid,
                members: members.iter().map(|(at, _)| *at).collect(),
                disks: member.disks,
            },
        });
    }
    attach_volumes(scan, wanted)
}

/// Volume groups that are not active.
pub(super) fn groups(scan: &mut Scan) -> Result<(), ScanError> {
    // A group that was incomplete is told anew, with what has been opened since.
    let still_free: Vec<String> = free(scan, "LVM2_member")
        .map(|(_, volume)| volume.name.clone())
        .collect();
    scan.apart.retain(|apart| {
        apart.what != "volume group" || !apart.on.iter().all(|name| still_free.contains(name))
    });
    let mut members: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (index, volume) in free(scan, "LVM2_member") {
        let read = loops::open(&volume.path)
            .ok()
            .and_then(|medium| lvm::read(&medium));
        let Some((id, group)) = read else {
            continue;
        };
        members.entry(id).or_insert(index);
        if let Some(group) = group {
            let known = groups
                .entry(group.id.clone())
                .or_insert_with(|| group.clone());
            if known.seqno < group.seqno {
                *known = group;
            }
        }
    }
    let mut wanted = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for group in groups.values() {
        if seen.contains(&group.name.as_str()) {
            let name = &group.name;
            scan.note(format!(
                "two volume groups are called {name}: rename one before rescue"
            ));
        }
        seen.push(&group.name);
        let here: Vec<usize> = group
            .members
            .iter()
            .filter_map(|id| members.get(id).copied())
            .collect();
        let mut hidden = Vec::new();
        for volume in &group.volumes {
            let piece = volume.piece.as_ref();
            let member = piece.and_then(|piece| members.get(&piece.member));
            let (Some(piece), Some(index)) = (piece, member) else {
                hidden.push(format!("{} ({})", volume.name, volume.layout));
                continue;
            };
            let below = &scan.inventory.volumes[*index];
            let pair = Some((group.name.clone(), volume.name.clone()));
            let known = |other: &Volume| other.logical == pair && other.disks == below.disks;
            if scan.inventory.volumes.iter().any(known) {
                continue;
            }
            wanted.push(Wanted {
                part: Part {
                    file: below.path.clone(),
                    start: piece.start,
                    size: piece.size,
                },
                name: format!("{}/{}", group.name, volume.name),
                origin: Origin::Logical,
                logical: pair,
                disks: below.disks.clone(),
                model: below.model.clone(),
            });
        }
        let missing = group.members.len() - here.len();
        let mut notes = vec!["not active".to_string()];
        if missing > 0 {
            notes.push(format!(
                "{missing} of {} physical volumes missing",
                group.members.len()
            ));
        }
        if !hidden.is_empty() {
            notes.push(format!("not looked into: {}", hidden.join(", ")));
        }
        scan.apart.push(Apart {
            name: group.name.clone(),
            what: "volume group".to_string(),
            on: here
                .iter()
                .map(|index| scan.inventory.volumes[*index].name.clone())
                .collect(),
            note: notes.join(", "),
            kit: Kit::Group {
                uuid: group.id.clone(),
                members: here,
                missing,
            },
        });
    }
    attach_volumes(scan, wanted)
}

/// Pools and caches that newroot only recognises.
pub(super) fn recognised(scan: &mut Scan) {
    let mut found: BTreeMap<(&str, String), Apart> = BTreeMap::new();
    for (kind, what) in [
        ("zfs_member", "ZFS pool"),
        ("bcache", "bcache"),
        ("drbd", "DRBD"),
    ] {
        for (_, volume) in free(scan, kind) {
            let superblock = &volume.superblock;
            let label = &superblock.label;
            let entry = found
                .entry((kind, superblock.uuid.clone()))
                .or_insert_with(|| Apart {
                    name: if label.is_empty() {
                        superblock.uuid.clone()
                    } else {
                        label.clone()
                    },
                    what: what.to_string(),
                    on: Vec::new(),
                    note: "not looked into".to_string(),
                    kit: Kit::Unknown,
                });
            entry.on.push(volume.name.clone());
        }
    }
    scan.apart.extend(found.into_values());
}

/// The nodes of what was attached, to be asked about together.
pub(super) fn paths(attached: &[(Wanted, crate::sys::loopdev::LoopDevice)]) -> Vec<PathBuf> {
    attached
        .iter()
        .map(|(_, device)| device.path.clone())
        .collect()
}
