//! The disks below a system: room, superblocks, boot sectors, the ESP, the firmware's memory.

mod incomplete;

pub use incomplete::Incomplete;

use super::boot::firmware::{self, FirmwareFacts, Nvram};
use super::boot::loaders::{self, Sectors};
use super::volumes::{self, Room, Superstate};
use crate::model::HostPath;
use crate::probe::inventory::{Found, Origin, Usage, Volume};
use crate::probe::scan::Scan;
use crate::probe::system::System;
use crate::root::{Host, InRoot};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disks {
    /// Volumes are known: the system was not given as a directory.
    pub known: bool,
    /// Arrays and volume groups that it lies on and that lack members.
    pub incomplete: Vec<Incomplete>,
    /// Room on its filesystems.
    pub rooms: Vec<Room>,
    /// Their superblocks.
    pub supers: Vec<Superstate>,
    /// The first sectors of its disks.
    pub sectors: Vec<Sectors>,
    /// Its ESP, where that is a volume of its own.
    pub esp: Option<FirmwareFacts>,
    /// PARTUUID of that ESP, lower case.
    pub esp_partition: Option<String>,
    /// What the firmware of this machine remembers; only for systems on its own disks.
    pub nvram: Option<Nvram>,
    /// What could not be looked at, and why.
    pub unchecked: Vec<(String, String)>,
}

/// A directory: only the room of the filesystem it lies on is known.
#[must_use]
pub fn of_directory(path: &HostPath) -> Disks {
    let mut disks = Disks::default();
    match InRoot::open(path).and_then(|root| volumes::room(root.fd(), "/")) {
        Ok(room) => disks.rooms.push(room),
        Err(error) => disks
            .unchecked
            .push(("free space".into(), error.to_string())),
    }
    disks
}

/// A system that the scan found, while its looks are open.
#[must_use]
pub fn of_scan(scan: &Scan, system: &System) -> Disks {
    let mut disks = Disks {
        known: true,
        ..Disks::default()
    };
    let root = system.volume();
    let mounts = system.wants.iter().filter_map(|want| match want.found {
        Found::Here(index) | Found::Unreliable(Some(index)) => {
            Some((index, want.mount_point.to_string()))
        }
        Found::Locked(_) | Found::Unreliable(None) | Found::Missing => None,
    });
    let all = root.map(|index| (index, "/".to_string()));
    let mut seen = Vec::new();
    for (index, mount_point) in all.into_iter().chain(mounts) {
        if seen.contains(&index) {
            continue;
        }
        seen.push(index);
        if let Some(volume) = scan.inventory.volumes.get(index) {
            look(scan, index, volume, &mount_point, &mut disks);
        }
    }
    disks.incomplete = incomplete::find(scan, system, &seen);
    disk_starts(scan, &seen, &mut disks);
    if let Some(index) = system.esp {
        esp(scan, index, &mut disks);
    }
    let own = root.and_then(|index| scan.inventory.volumes.get(index));
    if own.is_some_and(|volume| {
        matches!(
            volume.origin,
            Origin::Kernel | Origin::Mirror | Origin::Logical
        )
    }) {
        disks.nvram = firmware::nvram(&Host);
    }
    disks
}

fn look(scan: &Scan, index: usize, volume: &Volume, mount_point: &str, disks: &mut Disks) {
    if !volume.has_filesystem() {
        return;
    }
    let peek = scan.peek(index);
    if let Some(Ok(room)) = peek.map(|peek| volumes::room(peek.root().fd(), mount_point)) {
        disks.rooms.push(room);
    }
    // Of a mounted filesystem the superblock on the disk says little.
    if volume.usage != Usage::Free {
        return;
    }
    match volumes::superblock(&volume.superblock.kind, &volume.path) {
        Ok(Some(mut found)) => {
            found.name.clone_from(&volume.name);
            found.device = volume.path.to_string_lossy().into_owned();
            found.fs_type.clone_from(&volume.superblock.kind);
            found.mount_point = Some(mount_point.to_string());
            disks.supers.push(found);
        }
        Ok(None) => disks.unchecked.push((
            format!("the {} of {mount_point}", volume.superblock.kind),
            "its superblock is of a kind that is not read".into(),
        )),
        Err(error) => disks
            .unchecked
            .push((volume.name.clone(), error.to_string())),
    }
}

/// The first sectors of every disk that the system lies on.
fn disk_starts(scan: &Scan, volumes: &[usize], disks: &mut Disks) {
    let mut names: Vec<&String> = Vec::new();
    for index in volumes {
        let Some(volume) = scan.inventory.volumes.get(*index) else {
            continue;
        };
        for name in volume
            .disks
            .iter()
            .chain(volume.slot.iter().map(|slot| &slot.disk))
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    for name in names {
        let disk = scan
            .inventory
            .volumes
            .iter()
            .find(|volume| volume.kernel_name == *name);
        let Some(disk) = disk else {
            continue;
        };
        match loaders::read(&disk.name, &disk.path) {
            Ok(found) => disks.sectors.push(found),
            Err(error) => disks
                .unchecked
                .push((format!("the first sectors of {name}"), error.to_string())),
        }
    }
}

fn esp(scan: &Scan, index: usize, disks: &mut Disks) {
    let Some(volume) = scan.inventory.volumes.get(index) else {
        return;
    };
    disks.esp_partition = volume
        .slot
        .as_ref()
        .map(|slot| slot.uuid.to_ascii_lowercase());
    match scan.peek(index) {
        Some(peek) => disks.esp = Some(firmware::of_volume(peek.root(), &volume.name)),
        None => disks.unchecked.push((
            format!("the ESP {}", volume.name),
            "it could not be looked into".into(),
        )),
    }
}
