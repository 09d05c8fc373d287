//! What this running system itself stands on: never a target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::block::{BlockDevice, DeviceKind, disks_below};
use super::mountinfo::Mount;

/// Where live systems mount the medium that they were booted from.
const LIVE_PLACES: &[&str] = &[
    "/run/live/medium",
    "/run/live/rootfs",
    "/run/live/persistence",
    "/lib/live/mount",
    "/usr/lib/live/mount",
    "/run/archiso",
    "/run/miso",
    "/run/initramfs/live",
    "/run/initramfs/isoscan",
    "/run/initramfs/squashfs",
    "/run/rootfsbase",
    "/run/install",
    "/livemnt",
    "/mnt/livecd",
    "/media/cdrom",
    "/cdrom",
    "/isodevice",
    "/initrd/mnt",
    "/live",
    "/nix/.ro-store",
    "/media/root-ro",
];

/// Why a device is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Own {
    /// The medium this live system was booted from.
    LiveMedium,
    /// A disk or volume that this system is installed on.
    RunningSystem,
}

/// The devices that carry the running system, by the kernel's name. A live medium counts as a
/// whole disk (its other partitions hold persistence, or nothing); the disk of an installed
/// system does not: another system may lie beside it.
#[must_use]
pub fn own_devices(
    devices: &BTreeMap<String, BlockDevice>,
    mounts: &[Mount],
) -> BTreeMap<String, Own> {
    let mut own = BTreeMap::new();
    for mount in mounts {
        let live = LIVE_PLACES
            .iter()
            .any(|place| mount.mount_point.starts_with(place));
        let system = ["/", "/usr", "/boot", "/boot/efi", "/efi", "/var", "/home"]
            .iter()
            .any(|place| mount.mount_point == Path::new(place));
        if !live && !system {
            continue;
        }
        let Some(name) = device_of(devices, mount) else {
            continue;
        };
        if live || mount.fs_type == "iso9660" || mount.fs_type == "squashfs" {
            for disk in behind(devices, &name) {
                take(devices, &disk, Own::LiveMedium, &mut own);
            }
        } else {
            own.entry(name).or_insert(Own::RunningSystem);
        }
    }
    own
}

/// The device that a mount is from: by number, or by the name of its source (btrfs).
#[must_use]
pub fn device_of(devices: &BTreeMap<String, BlockDevice>, mount: &Mount) -> Option<String> {
    let by_number = devices
        .values()
        .find(|device| device.number == mount.device);
    let by_name = || {
        let source = mount.source.as_path();
        devices.values().find(|device| {
            device.path() == source || Path::new("/dev/mapper").join(device.shown()) == source
        })
    };
    by_number.or_else(by_name).map(|device| device.name.clone())
}

/// The disks below `name`, through the files of loop devices as well.
fn behind(devices: &BTreeMap<String, BlockDevice>, name: &str) -> Vec<String> {
    let mut disks = disks_below(devices, name);
    disks.push(name.to_string());
    disks
}

/// A disk and everything on it.
fn take(
    devices: &BTreeMap<String, BlockDevice>,
    disk: &str,
    why: Own,
    own: &mut BTreeMap<String, Own>,
) {
    let mut pending: BTreeSet<String> = BTreeSet::from([disk.to_string()]);
    while let Some(name) = pending.pop_first() {
        if own.insert(name.clone(), why) == Some(why) {
            continue;
        }
        for device in devices.values() {
            let part = matches!(&device.kind, DeviceKind::Partition { disk, .. } if *disk == name);
            if part || device.slaves.contains(&name) {
                pending.insert(device.name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Bytes;
    use crate::probe::mountinfo;

    fn device(name: &str, number: (u32, u32), kind: DeviceKind) -> (String, BlockDevice) {
        let device = BlockDevice {
            name: name.into(),
            number,
            kind,
            size: Bytes(1),
            read_only: false,
            removable: false,
            model: String::new(),
            slaves: Vec::new(),
            holders: Vec::new(),
        };
        (name.into(), device)
    }

    fn part(disk: &str, number: u32) -> DeviceKind {
        DeviceKind::Partition {
            disk: disk.into(),
            number,
            start: 0,
        }
    }

    #[test]
    fn a_live_stick_is_left_out_whole_and_an_installed_disk_is_not() {
        let devices = BTreeMap::from([
            device("sda", (8, 0), DeviceKind::Disk),
            device("sda1", (8, 1), part("sda", 1)),
            device("sda2", (8, 2), part("sda", 2)),
            device("sdb", (8, 16), DeviceKind::Disk),
            device("sdb1", (8, 17), part("sdb", 1)),
            device("sdb2", (8, 18), part("sdb", 2)),
        ]);
        let mounts = mountinfo::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:17 / /run/live/medium ro - iso9660 /dev/sdb1 ro\n\
            3 1 8:2 / /mnt rw - ext4 /dev/sda2 rw\n",
        );
        let own = own_devices(&devices, &mounts);
        let names: Vec<(&str, Own)> = own
            .iter()
            .map(|(name, why)| (name.as_str(), *why))
            .collect();
        let live = Own::LiveMedium;
        let wanted = [
            ("sda1", Own::RunningSystem),
            ("sdb", live),
            ("sdb1", live),
            ("sdb2", live),
        ];
        assert_eq!(names, wanted);
    }
}
