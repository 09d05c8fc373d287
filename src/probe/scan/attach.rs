//! Volumes that only the scan makes devices of, read-only and for as long as it lasts: image files,
//! partitions that the kernel does not show, parts of a layer that nobody opened.

use std::fs;
use std::path::{Path, PathBuf};

use super::derive::Wanted;
use super::gather::unanswered;
use super::{Reason, Scan, ScanError};
use crate::model::Bytes;
use crate::probe::busy::{self, Thing};
use crate::probe::inventory::{Origin, Slot, Usage, Volume};
use crate::probe::loops::{self, Part};
use crate::probe::partitions::{self, Table};
use crate::probe::superblock;

const NOTHING_KNOWN: &str = "no filesystem and no partition table recognised";

/// An image file: the whole as a volume; its partitions are seen in [`unseen_partitions`].
pub(super) fn image_volumes(scan: &mut Scan, path: &Path) -> Result<(), ScanError> {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy().into_owned();
    if let Some(thing) = Thing::of(path)
        && let Some((_, holder)) = busy::writers(&[thing]).into_iter().next()
    {
        scan.skip(name, Reason::InUse(Some(holder)));
        return Ok(());
    }
    let open = |source| ScanError::Open {
        path: path.to_path_buf(),
        source,
    };
    let size = partitions::Medium::length(&loops::open(path).map_err(open)?);
    let whole = Part {
        file: path.to_path_buf(),
        start: 0,
        size: 0,
    };
    let device = loops::attach(&whole).map_err(open)?;
    let mut answer = superblock::probe_all(std::slice::from_ref(&device.path))?;
    let superblock = match answer.pop() {
        Some(Ok(superblock)) => superblock,
        Some(Err(why)) => {
            scan.skip(name, unanswered(why));
            return Ok(());
        }
        None => return Ok(()),
    };
    let kernel_name = last_part(&device.path);
    scan.inventory.volumes.push(Volume {
        disks: vec![name.clone()],
        name,
        kernel_name,
        number: number_of(&device.path),
        path: device.path.clone(),
        origin: Origin::Image,
        part: Some(whole),
        size: Bytes(size),
        model: String::new(),
        removable: false,
        slot: None,
        logical: None,
        superblock,
        usage: Usage::Free,
        own: None,
    });
    scan.loops.push(device);
    Ok(())
}

/// Disks with a partition table of which the kernel shows nothing: each partition becomes a
/// read-only loop device for as long as the scan lasts.
pub(super) fn unseen_partitions(scan: &mut Scan) -> Result<(), ScanError> {
    for index in 0..scan.inventory.volumes.len() {
        let disk = &scan.inventory.volumes[index];
        let seen = scan.inventory.volumes.iter().any(|volume| {
            volume
                .slot
                .as_ref()
                .is_some_and(|slot| slot.disk == disk.kernel_name)
        });
        let may_have_table = disk.slot.is_none()
            && (disk.superblock.kind.is_empty() || !disk.superblock.table.is_empty());
        if seen || !may_have_table || disk.own.is_some() || disk.usage != Usage::Free {
            continue;
        }
        let disk = disk.clone();
        let Some(table) = loops::open(&disk.path)
            .ok()
            .and_then(|medium| partitions::read(&medium))
        else {
            if is_blank(&disk) {
                scan.note(format!("{}: {NOTHING_KNOWN}", disk.name));
            }
            continue;
        };
        for problem in &table.problems {
            scan.note(format!("{}: {problem}", disk.name));
        }
        attach_all(scan, &disk, &table)?;
    }
    Ok(())
}

/// A file that is no image of anything: whoever named it may have meant another.
fn is_blank(file: &Volume) -> bool {
    let found = &file.superblock;
    file.origin == Origin::Image
        && found.kind.is_empty()
        && found.table.is_empty()
        && !found.ambivalent
}

fn attach_all(scan: &mut Scan, disk: &Volume, table: &Table) -> Result<(), ScanError> {
    let mut attached = Vec::new();
    for partition in &table.partitions {
        let part = Part {
            file: disk.path.clone(),
            start: partition.start,
            size: partition.size,
        };
        match loops::attach(&part) {
            Ok(device) => attached.push((partition, device)),
            Err(error) => scan.skip(
                format!("{} p{}", disk.name, partition.number),
                Reason::Unreadable(error.to_string()),
            ),
        }
    }
    let paths: Vec<PathBuf> = attached
        .iter()
        .map(|(_, device)| device.path.clone())
        .collect();
    let answers = superblock::probe_all(&paths)?;
    for ((partition, device), answer) in attached.into_iter().zip(answers) {
        let name = format!("{} p{}", disk.name, partition.number);
        let superblock = match answer {
            Ok(superblock) => superblock,
            Err(why) => {
                scan.skip(name, unanswered(why));
                continue;
            }
        };
        scan.inventory.volumes.push(Volume {
            name,
            kernel_name: last_part(&device.path),
            number: number_of(&device.path),
            path: device.path.clone(),
            origin: Origin::Part,
            part: Some(Part {
                file: whole_of(disk),
                start: partition.start,
                size: partition.size,
            }),
            size: Bytes(partition.size),
            model: disk.model.clone(),
            removable: disk.removable,
            slot: Some(Slot {
                disk: disk.kernel_name.clone(),
                number: partition.number,
                kind: partition.kind,
                uuid: partition.uuid.clone(),
                label: partition.label.clone(),
            }),
            logical: None,
            disks: disk.disks.clone(),
            superblock,
            usage: Usage::Free,
            own: None,
        });
        scan.loops.push(device);
    }
    Ok(())
}

/// The file or disk that a part is of; not the loop device that a look goes through.
fn whole_of(disk: &Volume) -> PathBuf {
    match &disk.part {
        Some(part) if disk.origin == Origin::Image => part.file.clone(),
        _ => disk.path.clone(),
    }
}

/// Makes a read-only loop device of each part and asks what is on it.
pub(super) fn attach_volumes(scan: &mut Scan, wanted: Vec<Wanted>) -> Result<(), ScanError> {
    let mut attached = Vec::new();
    for each in wanted {
        match loops::attach(&each.part) {
            Ok(device) => attached.push((each, device)),
            Err(error) => scan.skip(each.name, Reason::Unreadable(error.to_string())),
        }
    }
    let answers = superblock::probe_all(&super::derive::paths(&attached))?;
    for ((each, device), answer) in attached.into_iter().zip(answers) {
        let superblock = match answer {
            Ok(superblock) => superblock,
            Err(why) => {
                scan.skip(each.name, unanswered(why));
                continue;
            }
        };
        scan.inventory.volumes.push(Volume {
            name: each.name,
            kernel_name: last_part(&device.path),
            number: number_of(&device.path),
            path: device.path.clone(),
            origin: each.origin,
            part: None,
            size: Bytes(each.part.size),
            model: each.model,
            removable: false,
            slot: None,
            logical: each.logical,
            disks: each.disks,
            superblock,
            usage: Usage::Free,
            own: None,
        });
        scan.loops.push(device);
    }
    Ok(())
}

fn last_part(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub(super) fn number_of(path: &Path) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or((0, 0), |meta| {
        (
            rustix::fs::major(meta.rdev()),
            rustix::fs::minor(meta.rdev()),
        )
    })
}
