//! First part of the scan: all volumes, what blkid says of each, and who uses it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::attach::{image_volumes, number_of, unseen_partitions};
use super::{Known, Locked, Options, Reason, Scan, ScanError};
use crate::probe::block::{self, BlockDevice, DeviceKind};
use crate::probe::inventory::{Origin, Slot, Usage, Volume, split_mapper};
use crate::probe::livemedium::{self, Own};
use crate::probe::mountinfo::{self, Mount};
use crate::probe::partitions::PartitionKind;
use crate::probe::superblock::{self, PATIENCE, Superblock, Unanswered};

pub(super) fn gather(scan: &mut Scan, options: &Options) -> Result<(), ScanError> {
    let (images, devices) = sort_out(&options.only)?;
    let mounts = mountinfo::parse(&fs::read("/proc/self/mountinfo").unwrap_or_default());
    if options.only.is_empty() || !devices.is_empty() {
        kernel_volumes(scan, &mounts, &devices, options)?;
    }
    for image in images {
        image_volumes(scan, &image)?;
    }
    unseen_partitions(scan)?;
    super::look::held(scan, &mounts);
    super::derive::arrays(scan)?;
    unseen_partitions(scan)?;
    super::derive::groups(scan)?;
    super::derive::recognised(scan);
    list_locked(scan);
    Ok(())
}

/// Image files, and devices by the kernel's name.
fn sort_out(only: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<String>), ScanError> {
    let mut images = Vec::new();
    let mut devices = Vec::new();
    for path in only {
        let meta = fs::metadata(path).map_err(|error| ScanError::Open {
            path: path.clone(),
            source: crate::sys::SysError::from_io("stat", format_args!("{path:?}"), &error),
        })?;
        if meta.is_file() {
            images.push(path.clone());
        } else if meta.file_type().is_block_device() {
            devices.push(kernel_name(&meta).ok_or_else(|| ScanError::NotADevice(path.clone()))?);
        } else {
            return Err(ScanError::NotADevice(path.clone()));
        }
    }
    Ok((images, devices))
}

/// The kernel's name of a device node, whatever the node is called.
fn kernel_name(meta: &fs::Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let rdev = meta.rdev();
    let (major, minor) = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
    let link = fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    Some(link.file_name()?.to_str()?.to_string())
}

/// All devices of the kernel; with `only`, those and what is on or above them.
fn kernel_volumes(
    scan: &mut Scan,
    mounts: &[Mount],
    only: &[String],
    options: &Options,
) -> Result<(), ScanError> {
    let devices = block::machine();
    let own = livemedium::own_devices(&devices, mounts);
    let wanted: Vec<&BlockDevice> = devices
        .values()
        .filter(|device| !device.is_internal() && !is_snap(device))
        .filter(|device| only.is_empty() || is_related(&devices, device, only))
        .collect();
    report_own(scan, &devices, &own);
    let paths: Vec<PathBuf> = wanted.iter().map(|device| device.path()).collect();
    let answers = superblock::probe_all(&paths)?;
    for (device, answer) in wanted.into_iter().zip(answers) {
        let superblock = match answer {
            Ok(superblock) => superblock,
            Err(why) => {
                let name = device.shown();
                scan.skip(name, unanswered(why));
                continue;
            }
        };
        let mut volume = volume_of(&devices, device, superblock);
        volume.own = own.get(&device.name).copied();
        scan.inventory.volumes.push(volume);
    }
    know(scan, &options.parts);
    Ok(())
}

/// Gives loop devices that the caller made of parts what the kernel does not know of them.
fn know(scan: &mut Scan, parts: &BTreeMap<PathBuf, Known>) {
    let known: Vec<(String, &Known)> = scan
        .inventory
        .volumes
        .iter()
        .filter_map(|volume| Some((volume.kernel_name.clone(), parts.get(&volume.path)?)))
        .collect();
    for volume in &mut scan.inventory.volumes {
        for (name, part) in &known {
            if volume.kernel_name == *name {
                volume.name.clone_from(&part.name);
                volume.slot.clone_from(&part.slot);
            }
            if volume.disks.contains(name) {
                volume.disks.retain(|disk| disk != name);
                volume.disks.extend(part.disks.iter().cloned());
            }
        }
    }
}

/// A squashfs that somebody loops is a package or a live system's root, not an installed one.
fn is_snap(device: &BlockDevice) -> bool {
    match &device.kind {
        DeviceKind::Loop { file } => {
            let name = file.to_string_lossy();
            [".snap", ".squashfs", ".sfs", ".erofs", ".iso"]
                .iter()
                .any(|end| name.ends_with(end))
        }
        _ => false,
    }
}

fn is_related(
    devices: &BTreeMap<String, BlockDevice>,
    device: &BlockDevice,
    only: &[String],
) -> bool {
    let mut pending = vec![device.name.clone()];
    let mut seen = Vec::new();
    while let Some(name) = pending.pop() {
        if only.contains(&name) {
            return true;
        }
        let Some(device) = devices.get(&name).filter(|_| !seen.contains(&name)) else {
            continue;
        };
        if let DeviceKind::Partition { disk, .. } = &device.kind {
            pending.push(disk.clone());
        }
        pending.extend(device.slaves.iter().cloned());
        seen.push(name);
    }
    false
}

/// Of a live medium its disks are named, of an installed system the volume of `/`.
fn report_own(
    scan: &mut Scan,
    devices: &BTreeMap<String, BlockDevice>,
    own: &BTreeMap<String, Own>,
) {
    for (name, why) in own {
        let Some(device) = devices.get(name) else {
            continue;
        };
        let is_part = matches!(device.kind, DeviceKind::Partition { .. });
        if *why == Own::LiveMedium && is_part || is_snap(device) {
            continue;
        }
        scan.skip(device.shown(), Reason::Own(*why));
    }
}

pub(super) fn unanswered(why: Unanswered) -> Reason {
    match why {
        Unanswered::Deadline => Reason::NoAnswer(PATIENCE.as_secs()),
        Unanswered::Unreadable(text) => {
            let line = text.lines().next().unwrap_or_default();
            Reason::Unreadable(line.to_string())
        }
    }
}

fn volume_of(
    devices: &BTreeMap<String, BlockDevice>,
    device: &BlockDevice,
    superblock: Superblock,
) -> Volume {
    let slot = match &device.kind {
        DeviceKind::Partition { disk, number, .. } => Some(Slot {
            disk: disk.clone(),
            number: *number,
            kind: PartitionKind::of_code(&superblock.part_type),
            uuid: superblock.part_uuid.clone(),
            label: superblock.part_label.clone(),
        }),
        _ => None,
    };
    let logical = match &device.kind {
        DeviceKind::Mapper { name, uuid } if uuid.starts_with("LVM-") => split_mapper(name),
        _ => None,
    };
    Volume {
        name: device.shown(),
        kernel_name: device.name.clone(),
        path: device.path(),
        number: device.number,
        origin: Origin::Kernel,
        part: None,
        size: device.size,
        model: device.model.clone(),
        removable: device.removable,
        slot,
        logical,
        disks: block::disks_below(devices, &device.name),
        superblock,
        usage: if device.holders.is_empty() {
            Usage::Free
        } else {
            Usage::Stacked(device.holders.clone())
        },
        own: None,
    }
}

/// Encrypted volumes that nobody opened.
fn list_locked(scan: &mut Scan) {
    let locked = scan.inventory.volumes.iter().enumerate();
    scan.locked = locked
        .filter(|(_, volume)| volume.is_locked() && volume.own.is_none())
        .map(|(index, volume)| {
            let luks = volume.superblock.kind == "crypto_LUKS";
            let prefix = if luks { "luks" } else { "bitlocker" };
            let digits: String = volume
                .superblock
                .uuid
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(4)
                .collect();
            let digits = if digits.is_empty() {
                volume.kernel_name.clone()
            } else {
                digits
            };
            Locked {
                id: format!("{prefix}-{digits}"),
                volume: index,
                what: if luks {
                    format!("LUKS{}", volume.superblock.version)
                } else {
                    "BitLocker".to_string()
                },
            }
        })
        .collect();
}

/// An encrypted volume that was opened for this scan.
pub(super) fn add_opened(scan: &mut Scan, locked: &Locked, mapper: &str) -> Result<(), ScanError> {
    let path = Path::new("/dev/mapper").join(mapper);
    let below = scan.inventory.volumes[locked.volume].clone();
    let answer = superblock::probe_all(std::slice::from_ref(&path))?.pop();
    let superblock = match answer {
        Some(Ok(superblock)) => superblock,
        Some(Err(why)) => {
            scan.skip(locked.id.clone(), unanswered(why));
            return Ok(());
        }
        None => return Ok(()),
    };
    let meta = fs::metadata(&path).ok();
    let kernel_name = meta.as_ref().and_then(kernel_name).unwrap_or_default();
    scan.inventory.volumes[locked.volume].usage = Usage::Stacked(vec![kernel_name.clone()]);
    scan.inventory.volumes.push(Volume {
        name: locked.id.clone(),
        kernel_name,
        number: number_of(&path),
        path,
        origin: Origin::Kernel,
        part: None,
        slot: None,
        logical: None,
        superblock,
        usage: Usage::Free,
        ..below
    });
    unseen_partitions(scan)?;
    super::derive::groups(scan)?;
    list_locked(scan);
    Ok(())
}
