//! Second part of the scan: a look into every filesystem, and which trees in it are roots.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Reason, Scan};
use crate::model::RootPath;
use crate::probe::btrfs::{self, Subvolume};
use crate::probe::busy::{self, Thing};
use crate::probe::fstab::Purpose;
use crate::probe::inventory::{Found, Inventory, Usage, Volume};
use crate::probe::mountinfo::{self, Mount};
use crate::probe::peek::{self, Peek, PeekError};
use crate::probe::roots::{self, RootFacts};
use crate::probe::system::{Place, System};
use crate::probe::view::View;
use crate::root::{InRoot, Tree};

/// More deployments than a system keeps.
const MOST_DEPLOYMENTS: usize = 32;

/// A tree that is a root.
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) facts: RootFacts,
}

/// Finds out who uses each volume that nothing is built on.
pub(super) fn held(scan: &mut Scan, mounts: &[Mount]) {
    let mut things = BTreeMap::new();
    for (index, volume) in scan.inventory.volumes.iter_mut().enumerate() {
        if volume.usage != Usage::Free {
            continue;
        }
        if let Some(mount) = mount_of(mounts, volume) {
            volume.usage = Usage::Mounted(mount.mount_point.clone());
        } else if let Some(thing) = Thing::of(&volume.path) {
            things.insert(index, thing);
        }
    }
    let wanted: Vec<Thing> = things.values().copied().collect();
    let writers = busy::writers(&wanted);
    for (index, thing) in things {
        let volume = &mut scan.inventory.volumes[index];
        let writer = writers.iter().find(|(held, _)| *held == thing);
        let disk_of_parts = volume.slot.is_none() && !volume.superblock.table.is_empty();
        if let Some((_, holder)) = writer {
            volume.usage = Usage::Held(Some(holder.clone()));
        } else if !disk_of_parts && busy::is_claimed(&volume.path).unwrap_or(false) {
            // A partition that is mounted claims its disk as well: only those without a table.
            let holder = busy::mounted_elsewhere(volume.number);
            volume.usage = Usage::Held(holder.or_else(|| busy::opener(volume.number)));
        }
    }
    spread(&mut scan.inventory);
    let mut told = Vec::new();
    for volume in &scan.inventory.volumes {
        // Swap that is in use is no news, and neither are the parts of a disk that is held.
        let news = volume.own.is_none() && volume.superblock.kind != "swap";
        if let Usage::Held(holder) = &volume.usage
            && news
            && !is_part_of_held(&scan.inventory, volume)
        {
            told.push((volume.name.clone(), Reason::InUse(holder.clone())));
        }
    }
    for (name, reason) in told {
        scan.skip(name, reason);
    }
}

/// Somebody else took `device` while we looked into it.
pub(super) fn taken(scan: &mut Scan, device: &Path) {
    let mounts = mountinfo::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
    let volumes = &mut scan.inventory.volumes;
    let Some(volume) = volumes.iter_mut().find(|volume| volume.path == device) else {
        return;
    };
    let name = volume.name.clone();
    if let Some(mount) = mount_of(&mounts, volume) {
        let point = mount.mount_point.clone();
        volume.usage = Usage::Mounted(point.clone());
        let point = point.display();
        return scan.note(format!(
            "{name} was mounted on {point} while it was looked at"
        ));
    }
    let holder = busy::mounted_elsewhere(volume.number).or_else(|| busy::opener(volume.number));
    volume.usage = Usage::Held(holder.clone());
    scan.skip(name, Reason::InUse(holder));
}

/// Whoever holds a disk holds its partitions, and whoever holds a partition works on the disk.
fn spread(inventory: &mut Inventory) {
    let held: Vec<(String, Usage)> = inventory
        .volumes
        .iter()
        .filter(|volume| matches!(volume.usage, Usage::Held(Some(_))))
        .map(|volume| (volume.kernel_name.clone(), volume.usage.clone()))
        .collect();
    for volume in &mut inventory.volumes {
        let disk = volume.slot.as_ref().map(|slot| &slot.disk);
        let holder = held.iter().find(|(name, _)| Some(name) == disk);
        if let Some((_, usage)) = holder.filter(|_| volume.usage == Usage::Free) {
            volume.usage = usage.clone();
        }
    }
}

fn is_part_of_held(inventory: &Inventory, volume: &Volume) -> bool {
    let Some(slot) = &volume.slot else {
        return false;
    };
    inventory
        .volumes
        .iter()
        .any(|disk| disk.kernel_name == slot.disk && matches!(disk.usage, Usage::Held(_)))
}

/// The mount of a volume that shows most of it.
fn mount_of<'m>(mounts: &'m [Mount], volume: &Volume) -> Option<&'m Mount> {
    let mapper = Path::new("/dev/mapper").join(&volume.name);
    mounts
        .iter()
        .filter(|mount| {
            mount.device == volume.number
                || mount.fs_type == "btrfs"
                    && (mount.source == volume.path || mount.source == mapper)
        })
        .min_by_key(|mount| mount.root.components().count())
}

/// A btrfs of several devices is one filesystem: the first of its volumes stands for all.
pub(super) fn first_of_group(inventory: &Inventory, index: usize) -> usize {
    let volume = &inventory.volumes[index];
    if volume.superblock.kind != "btrfs" {
        return index;
    }
    let same = |other: &Volume| {
        other.superblock.kind == "btrfs" && other.superblock.uuid == volume.superblock.uuid
    };
    inventory.volumes.iter().position(same).unwrap_or(index)
}

/// All volumes of the filesystem that `first` stands for. A clone carries the same number of a
/// device a second time and is left out: the kernel could not tell them apart.
fn group(inventory: &Inventory, first: usize) -> (Vec<usize>, Vec<usize>) {
    let mut members = Vec::new();
    let mut clones = Vec::new();
    for index in first..inventory.volumes.len() {
        let volume = &inventory.volumes[index];
        if first_of_group(inventory, index) != first || !volume.has_filesystem() {
            continue;
        }
        let known = members.iter().any(|at: &usize| {
            inventory.volumes[*at].superblock.uuid_sub == volume.superblock.uuid_sub
        });
        if known {
            clones.push(index);
        } else {
            members.push(index);
        }
    }
    (members, clones)
}

/// Opens a look into every filesystem and judges the trees in it.
pub(super) fn look(scan: &mut Scan) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for first in 0..scan.inventory.volumes.len() {
        let volume = &scan.inventory.volumes[first];
        if !volume.has_filesystem() || first_of_group(&scan.inventory, first) != first {
            continue;
        }
        let (members, clones) = group(&scan.inventory, first);
        for clone in clones {
            let clone = &scan.inventory.volumes[clone].name;
            let name = &scan.inventory.volumes[first].name;
            scan.note(format!(
                "{clone} is a copy of {name} with the same UUID: not looked into"
            ));
        }
        match open(&scan.inventory, &members) {
            None => {}
            Some(Ok(peek)) => {
                let own = members
                    .iter()
                    .any(|at| scan.inventory.volumes[*at].own.is_some());
                if !own {
                    candidates.extend(judge(&scan.inventory, &members, &peek));
                }
                scan.peeks.push((first, peek));
            }
            // NTFS, a disc, a squashfs: no Linux root is expected there.
            Some(Err(PeekError::Unknown(_))) => {}
            Some(Err(error)) => scan.skip(
                scan.inventory.volumes[first].name.clone(),
                Reason::Unreadable(error.to_string()),
            ),
        }
    }
    candidates
}

/// `None`: somebody holds it, or something is built on it.
fn open(inventory: &Inventory, members: &[usize]) -> Option<Result<Peek, PeekError>> {
    let volumes: Vec<&Volume> = members
        .iter()
        .map(|index| &inventory.volumes[*index])
        .collect();
    let mounted = volumes.iter().find_map(|volume| match &volume.usage {
        Usage::Mounted(mount_point) => Some(mount_point),
        _ => None,
    });
    if let Some(mount_point) = mounted {
        return Some(Peek::through(mount_point));
    }
    if volumes.iter().any(|volume| volume.usage != Usage::Free) {
        return None;
    }
    let (first, others) = volumes.split_first()?;
    let others: Vec<_> = others.iter().map(|volume| volume.path.clone()).collect();
    let kind = &first.superblock.kind;
    Some(Peek::open(kind, &first.path, &others, peek::Subvolume::Top))
}

fn judge(inventory: &Inventory, members: &[usize], peek: &Peek) -> Vec<Candidate> {
    let is_btrfs = inventory.volumes[members[0]].superblock.kind == "btrfs";
    let place = |subvolume: Option<Subvolume>, is_default, deployment| Place::Volume {
        volumes: members.to_vec(),
        subvolume,
        is_default,
        deployment,
    };
    let mut found = Vec::new();
    let subvolumes = if is_btrfs && !peek.is_borrowed() {
        btrfs::subvolumes(peek.root())
    } else {
        Vec::new()
    };
    if subvolumes.is_empty() {
        let Ok(root) = peek.subtree(&RootPath::root()) else {
            return found;
        };
        let subvolume = is_btrfs.then(|| borrowed_subvolume(&root)).flatten();
        for (deployment, facts) in trees(&root) {
            found.push(Candidate {
                place: place(subvolume.clone(), false, deployment),
                facts,
            });
        }
        return found;
    }
    let default = peek.default_subvolume();
    for subvolume in subvolumes {
        if roots::is_containers(&subvolume.path) {
            continue;
        }
        let Ok(root) = peek.subtree(&subvolume.path) else {
            continue;
        };
        let is_default = default == Some(subvolume.id);
        for (deployment, facts) in trees(&root) {
            found.push(Candidate {
                place: place(Some(subvolume.clone()), is_default, deployment),
                facts,
            });
        }
    }
    found
}

/// Through somebody's mount only the mounted subvolume is seen; its path is not known.
fn borrowed_subvolume(root: &InRoot) -> Option<Subvolume> {
    let id = btrfs::id_of(root)?;
    Some(Subvolume {
        id,
        path: RootPath::root(),
        read_only: false,
        snapshot: false,
    })
}

/// The roots of one tree: itself, or the ostree deployments in it.
fn trees(root: &InRoot) -> Vec<(Option<RootPath>, RootFacts)> {
    let deployments = deployments(root);
    if deployments.is_empty() {
        let facts = roots::judge(root);
        return Vec::from_iter(facts.is_system().then_some((None, facts)));
    }
    let judged = deployments.into_iter().filter_map(|path| {
        let tree = root.handle(&path).map(InRoot::from_fd).ok()?;
        let facts = roots::judge(&tree);
        facts.is_system().then_some((Some(path), facts))
    });
    judged.collect()
}

/// /ostree/deploy/STATEROOT/deploy/CHECKSUM.N, the newest first.
fn deployments(root: &InRoot) -> Vec<RootPath> {
    let base = RootPath::new("/ostree/deploy");
    let mut found = Vec::new();
    for stateroot in root
        .list(&base)
        .unwrap_or_default()
        .into_iter()
        .take(MOST_DEPLOYMENTS)
    {
        let place = base.join(stateroot).join("deploy");
        for name in root.list(&place).unwrap_or_default() {
            let path = place.join(&name);
            let is_deployment = !name.to_string_lossy().ends_with(".origin");
            if let Some(meta) = root.lstat(&path).ok().filter(|_| is_deployment) {
                found.push((std::cmp::Reverse(meta.modified), path));
            }
        }
    }
    found.sort();
    found.truncate(MOST_DEPLOYMENTS);
    found.into_iter().map(|(_, path)| path).collect()
}

/// See [`Scan::view`].
pub(super) fn view<'s>(scan: &'s Scan, system: &System) -> std::io::Result<View<'s>> {
    let mut view = View::new(scan.root_of(&system.place)?);
    let mut entries: Vec<_> = system
        .facts
        .fstab
        .entries
        .iter()
        .filter(|entry| entry.purpose() == Purpose::Device && entry.depth() > 1)
        .collect();
    entries.sort_by_key(|entry| entry.depth());
    for entry in entries {
        let found = system.wants.iter().find(|want| want.line == entry.line);
        let Some(Found::Here(index) | Found::Unreliable(Some(index))) =
            found.map(|want| want.found)
        else {
            continue;
        };
        let Some(peek) = scan.peek(index) else {
            continue;
        };
        let subvolume = entry.value("subvol").unwrap_or("/");
        let subvolume = if peek.is_borrowed() { "/" } else { subvolume };
        if let Ok(tree) = peek.subtree(&RootPath::new(subvolume)) {
            // A mount point that is not there is for the doctor to tell.
            view.mount(&entry.mount_point, tree).ok();
        }
    }
    Ok(view)
}
