//! Third part of the scan: roots become systems. Snapshots are folded, fstab is looked up, and
//! what lies on other filesystems is read through a [`crate::probe::view`].

use super::Scan;
use super::look::Candidate;
use crate::model::{HostPath, RootPath};
use crate::probe::boot::{self, Boot, Firmware};
use crate::probe::fstab::{Entry, Purpose};
use crate::probe::inventory::{Found, Inventory, Usage};
use crate::probe::partitions::PartitionKind;
use crate::probe::roots::{self, Evidence, RootFacts};
use crate::probe::system::{Place, System, Want, name_all};
use crate::probe::{hibernate, lastboot, loops};
use crate::root::{InRoot, Tree};
use crate::sys::mount;

pub(super) fn assemble(scan: &mut Scan, candidates: Vec<Candidate>) {
    let mut systems: Vec<System> = candidates
        .into_iter()
        .map(|candidate| found_on(&scan.inventory, candidate))
        .collect();
    systems = fold(systems);
    for system in &mut systems {
        complete(scan, system);
    }
    name_all(&mut systems);
    scan.systems = systems;
}

/// A root in a directory that somebody named: no devices are known.
pub(super) fn of_directory(root: &InRoot, path: &HostPath) -> System {
    let facts = roots::judge(root);
    let mut system = blank(facts, Place::Directory(path.clone()));
    read_tree(&mut system, root);
    name_all(std::slice::from_mut(&mut system));
    system
}

/// A system that is mounted at `root`, read again; where it lies is known.
pub(super) fn again(known: &System, inventory: &Inventory, root: &InRoot) -> System {
    let mut system = System {
        facts: roots::judge(root),
        wants: Vec::new(),
        boot: Boot::default(),
        firmware: Vec::new(),
        last_boot: None,
        ..known.clone()
    };
    if system.volume().is_some() {
        system.wants = wants(inventory, &system.facts);
        if names_itself(&system) {
            system.facts.evidence.push(Evidence::FstabNamesIt);
        }
    }
    read_tree(&mut system, root);
    system
}

fn blank(facts: RootFacts, place: Place) -> System {
    System {
        id: String::new(),
        facts,
        place,
        fs_type: String::new(),
        fs_uuid: String::new(),
        wants: Vec::new(),
        boot: Boot::default(),
        firmware: Vec::new(),
        esp: None,
        last_boot: None,
        hibernated: None,
        folded: 0,
        unseen: Vec::new(),
    }
}

fn found_on(inventory: &Inventory, candidate: Candidate) -> System {
    let mut system = blank(candidate.facts, candidate.place);
    if let Some(volume) = system.volume().map(|index| &inventory.volumes[index]) {
        system.fs_type = volume.superblock.kind.clone();
        system.fs_uuid = volume.superblock.uuid.clone();
    }
    system.wants = wants(inventory, &system.facts);
    if names_itself(&system) {
        system.facts.evidence.push(Evidence::FstabNamesIt);
    }
    system
}

fn wants(inventory: &Inventory, facts: &RootFacts) -> Vec<Want> {
    let entries = facts.fstab.entries.iter();
    entries
        .filter(|entry| matches!(entry.purpose(), Purpose::Device | Purpose::Swap))
        .map(|entry| Want {
            line: entry.line,
            spec: entry.spec.clone(),
            mount_point: entry.mount_point.clone(),
            optional: entry.is_optional(),
            found: inventory.find(&entry.spec, &facts.crypttab),
        })
        .collect()
}

/// Whether fstab's `/` is the very filesystem, and subvolume, that this root lies on.
fn names_itself(system: &System) -> bool {
    let Place::Volume {
        volumes,
        subvolume,
        is_default,
        ..
    } = &system.place
    else {
        return false;
    };
    let Some(entry) = system.facts.fstab.at("/") else {
        return false;
    };
    let want = system.wants.iter().find(|want| want.line == entry.line);
    let here = want.is_some_and(|want| match want.found {
        Found::Here(index) | Found::Unreliable(Some(index)) => volumes.contains(&index),
        Found::Locked(_) | Found::Unreliable(None) | Found::Missing => false,
    });
    here && match subvolume {
        None => true,
        Some(subvolume) => names_subvolume(entry, &subvolume.path, subvolume.id, *is_default),
    }
}

fn names_subvolume(entry: &Entry, path: &RootPath, id: u64, is_default: bool) -> bool {
    match (entry.value("subvol"), entry.value("subvolid")) {
        (Some(named), _) => RootPath::new(named).normalized() == path.normalized(),
        (None, Some(number)) => number.parse() == Ok(id),
        (None, None) => is_default,
    }
}

/// Leaves one system of each that has snapshots or several deployments, and counts the rest.
fn fold(systems: Vec<System>) -> Vec<System> {
    let mut kept: Vec<System> = Vec::new();
    let mut rest: Vec<System> = Vec::new();
    for system in systems {
        let older = kept.iter().any(|other| is_older_deployment(other, &system));
        if is_snapshot(&system) || older {
            rest.push(system);
        } else {
            kept.push(system);
        }
    }
    // The highest number is the newest: it stands for a system of which only snapshots are left.
    rest.sort_by_key(|system| std::cmp::Reverse(subvolume_id(system)));
    for system in rest {
        let same_filesystem = |other: &&mut System| {
            other.fs_uuid == system.fs_uuid && other.volume() == system.volume()
        };
        let same_system = |other: &System| {
            other.facts.machine_id == system.facts.machine_id
                && other.facts.os.id == system.facts.os.id
        };
        let mut there: Vec<&mut System> = kept.iter_mut().filter(same_filesystem).collect();
        let of = there
            .iter()
            .position(|other| same_system(other))
            .unwrap_or(0);
        match there.get_mut(of) {
            Some(other) => other.folded += 1,
            None => kept.push(system),
        }
    }
    kept
}

fn is_snapshot(system: &System) -> bool {
    let Place::Volume {
        subvolume: Some(subvolume),
        is_default,
        ..
    } = &system.place
    else {
        return false;
    };
    (subvolume.snapshot || roots::is_snapshots(&subvolume.path))
        && !is_default
        && !system.is_named_by_fstab()
}

fn subvolume_id(system: &System) -> u64 {
    match &system.place {
        Place::Volume {
            subvolume: Some(subvolume),
            ..
        } => subvolume.id,
        _ => 0,
    }
}

/// Deployments of one stateroot come newest first.
fn is_older_deployment(newer: &System, system: &System) -> bool {
    let stateroot = |place: &Place| match place {
        Place::Volume {
            volumes,
            deployment: Some(path),
            ..
        } => Some((volumes.clone(), path.parent())),
        _ => None,
    };
    let one = stateroot(&system.place);
    one.is_some() && one == stateroot(&newer.place)
}

/// What has to be read through the filesystems that fstab names.
fn complete(scan: &Scan, system: &mut System) {
    for want in &system.wants {
        let index = match want.found {
            Found::Here(index) | Found::Unreliable(Some(index)) => index,
            _ => continue,
        };
        let volume = &scan.inventory.volumes[index];
        if volume.has_filesystem() && scan.peek(index).is_none() {
            let why = match &volume.usage {
                Usage::Held(_) => "in use",
                _ if volume.superblock.kind == "ntfs" && !mount::is_known("ntfs3") => {
                    "is an NTFS, for which this kernel has no driver (ntfs3)"
                }
                _ => "cannot be looked into",
            };
            let line = (want.mount_point.clone(), format!("{} {why}", volume.name));
            system.unseen.push(line);
        }
    }
    system.esp = esp(&scan.inventory, system);
    if let Ok(view) = super::look::view(scan, system) {
        if system.facts.has_separate_usr() {
            let mut facts = roots::judge(&view);
            facts
                .evidence
                .extend(system.is_named_by_fstab().then_some(Evidence::FstabNamesIt));
            system.facts = facts;
        }
        read_tree(system, &view);
    }
    system.hibernated = hibernated(scan, system);
}

fn read_tree(system: &mut System, tree: &dyn Tree) {
    system.boot = boot::find(tree);
    system.last_boot = lastboot::find(tree, system.facts.machine_id.as_deref());
    // An ostree deployment has its /var beside it.
    if let (
        None,
        Place::Volume {
            deployment: Some(_),
            ..
        },
    ) = (&system.last_boot, &system.place)
    {
        system.last_boot = None;
    }
    let names_esp = ["/boot/efi", "/efi"]
        .iter()
        .any(|at| system.facts.fstab.at(at).is_some());
    let vfat_boot = system
        .facts
        .fstab
        .at("/boot")
        .is_some_and(|entry| entry.fs_type == "vfat");
    if names_esp || vfat_boot || system.boot.grub_for_uefi || system.boot.unified > 0 {
        system.firmware.push(Firmware::Uefi);
    }
    if system.boot.grub_for_bios || system.firmware.is_empty() && !system.boot.loaders.is_empty() {
        system.firmware.push(Firmware::Bios);
    }
}

/// The ESP that fstab names, or the one on the root's own disk.
fn esp(inventory: &Inventory, system: &System) -> Option<usize> {
    let is_esp = |index: &usize| {
        let slot = inventory.volumes[*index].slot.as_ref();
        slot.is_some_and(|slot| slot.kind == PartitionKind::Esp)
    };
    let named = system.wants.iter().find_map(|want| match want.found {
        Found::Here(index) => Some(index).filter(is_esp),
        _ => None,
    });
    named.or_else(|| {
        let disks = &inventory.volumes[system.volume()?].disks;
        (0..inventory.volumes.len()).find(|index| {
            is_esp(index)
                && inventory.volumes[*index]
                    .disks
                    .iter()
                    .any(|disk| disks.contains(disk))
        })
    })
}

/// A swap area of this system that holds a hibernation image: one that its fstab names, or, when
/// that names none, one on its own disk.
fn hibernated(scan: &Scan, system: &System) -> Option<String> {
    let volumes = &scan.inventory.volumes;
    let named: Vec<usize> = system
        .wants
        .iter()
        .filter_map(|want| match want.found {
            Found::Here(index) | Found::Unreliable(Some(index)) => Some(index),
            _ => None,
        })
        .filter(|index| is_swap(&volumes[*index].superblock.kind))
        .collect();
    let disks = system
        .volume()
        .map(|index| volumes[index].disks.clone())
        .unwrap_or_default();
    let beside = (0..volumes.len()).filter(|index| {
        is_swap(&volumes[*index].superblock.kind)
            && volumes[*index]
                .disks
                .iter()
                .any(|disk| disks.contains(disk))
    });
    let asked: Vec<usize> = if named.is_empty() {
        beside.collect()
    } else {
        named
    };
    asked
        .into_iter()
        .map(|index| &volumes[index])
        .find_map(|volume| {
            let image = volume.superblock.kind == "swsuspend"
                || volume.usage == Usage::Free
                    && loops::open(&volume.path)
                        .is_ok_and(|medium| hibernate::is_hibernated(&medium, 0));
            image.then(|| volume.name.clone())
        })
}

fn is_swap(kind: &str) -> bool {
    kind == "swap" || kind == "swsuspend"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::btrfs::Subvolume;
    use crate::probe::fstab;

    fn on(path: &str, id: u64, snapshot: bool, is_default: bool) -> System {
        let mut facts = RootFacts {
            machine_id: Some("m".into()),
            ..RootFacts::default()
        };
        facts.fstab = fstab::parse(b"UUID=1 / btrfs subvol=@ 0 0\n");
        let mut system = blank(
            facts,
            Place::Volume {
                volumes: vec![0],
                subvolume: Some(Subvolume {
                    id,
                    path: RootPath::new(path),
                    read_only: snapshot,
                    snapshot,
                }),
                is_default,
                deployment: None,
            },
        );
        system.wants = vec![Want {
            line: 1,
            spec: system.facts.fstab.entries[0].spec.clone(),
            mount_point: RootPath::root(),
            optional: false,
            found: Found::Here(0),
        }];
        if names_itself(&system) {
            system.facts.evidence.push(Evidence::FstabNamesIt);
        }
        system
    }

    #[test]
    fn snapshots_are_folded_into_their_system() {
        let kept = fold(vec![
            on("/@", 256, false, false),
            on("/@/.snapshots/1/snapshot", 300, true, false),
            on("/@snapshots/2/snapshot", 301, true, false),
        ]);
        assert_eq!(kept.len(), 1);
        assert_eq!((subvolume_id(&kept[0]), kept[0].folded), (256, 2));
        assert!(kept[0].is_named_by_fstab());
    }

    #[test]
    fn a_rolled_back_root_is_a_snapshot_and_the_system() {
        // openSUSE: the default subvolume is a snapshot; `@` has been rolled back elsewhere.
        let kept = fold(vec![
            on("/@/.snapshots/1/snapshot", 300, true, true),
            on("/@/.snapshots/2/snapshot", 301, true, false),
        ]);
        assert_eq!(
            (kept.len(), subvolume_id(&kept[0]), kept[0].folded),
            (1, 300, 1)
        );
        let kept = fold(vec![
            on("/s/.snapshots/1/x", 300, true, false),
            on("/s/.snapshots/2/x", 301, true, false),
        ]);
        assert_eq!(
            (kept.len(), subvolume_id(&kept[0])),
            (1, 301),
            "the newest stands for all"
        );
    }

    #[test]
    fn the_subvolume_has_to_be_the_named_one() {
        let fstab = fstab::parse(
            b"UUID=1 / btrfs subvolid=300\nUUID=1 / btrfs x\nUUID=1 / btrfs subvol=/@/\n",
        );
        let at = RootPath::new("/@");
        let named =
            |line: usize, id, default| names_subvolume(&fstab.entries[line], &at, id, default);
        assert!(named(0, 300, false) && !named(0, 301, true));
        assert!(named(1, 1, true) && !named(1, 1, false));
        assert!(named(2, 1, false));
    }
}
