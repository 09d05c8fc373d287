//! Block devices as sysfs shows them: disks, partitions, and what is stacked on what.
//!
//! Reads `/sys/class/block` over a [`Tree`], so that a test needs no disk. Opens no device: a
//! dead disk must not stop the walk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{Bytes, RootPath};
use crate::root::{self, Tree};

/// What a device is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A whole disk.
    Disk,
    /// A partition that the kernel sees.
    Partition {
        /// The disk's name.
        disk: String,
        /// Its number.
        number: u32,
        /// First byte on the disk.
        start: u64,
    },
    /// device-mapper: LUKS, LVM, multipath.
    Mapper {
        /// The name below /dev/mapper.
        name: String,
        /// `CRYPT-LUKS2-…`, `LVM-…`, `mpath-…`.
        uuid: String,
    },
    /// An md array.
    Array {
        /// `raid1`
        level: String,
        /// Members that are missing.
        missing: u32,
    },
    /// A loop device somebody else set up.
    Loop {
        /// The file behind it.
        file: PathBuf,
    },
}

/// One block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// The kernel's name: `sda2`, `dm-0`.
    pub name: String,
    /// Major and minor number.
    pub number: (u32, u32),
    /// What it is made of.
    pub kind: DeviceKind,
    /// Its length.
    pub size: Bytes,
    /// The kernel refuses to write to it.
    pub read_only: bool,
    /// A stick or a disc.
    pub removable: bool,
    /// Vendor and model; empty where there is none.
    pub model: String,
    /// What it is built on.
    pub slaves: Vec<String>,
    /// What is built on it.
    pub holders: Vec<String>,
}

impl BlockDevice {
    /// Its node. sysfs writes `/` as `!`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/{}", self.name.replace('!', "/")))
    }

    /// The name people know: that of the mapper where there is one.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.kind {
            DeviceKind::Mapper { name, .. } => name.clone(),
            _ => self.name.replace('!', "/"),
        }
    }

    /// What udev keeps away from programs: LVM's own parts, a volume that is just being made.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        match &self.kind {
            // LVM appends what a hidden part is for to its uuid: `-real`, `-cow`, `-tdata`.
            DeviceKind::Mapper { uuid, .. } => {
                uuid.strip_prefix("LVM-").is_some_and(|id| id.contains('-'))
            }
            _ => false,
        }
    }
}

/// Every block device that has a size, by name. RAM disks are left out.
#[must_use]
pub fn devices(tree: &dyn Tree) -> BTreeMap<String, BlockDevice> {
    let class = RootPath::new("/sys/class/block");
    let names = tree.list(&class).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| !name.starts_with("ram") && !name.starts_with("zram"))
        .filter_map(|name| device(tree, &class.join(name), name))
        .map(|device| (device.name.clone(), device))
        .collect()
}

fn device(tree: &dyn Tree, at: &RootPath, name: &str) -> Option<BlockDevice> {
    let number = text(tree, &at.join("dev"))?;
    let (major, minor) = number.split_once(':')?;
    let size = value(tree, &at.join("size"))?.checked_mul(512)?;
    if size == 0 {
        return None;
    }
    let kind = kind(tree, at, name)?;
    // A partition has no `device` of its own; what it stands on is a disk's.
    let hardware = match &kind {
        DeviceKind::Partition { disk, .. } => RootPath::new("/sys/class/block").join(disk),
        _ => at.clone(),
    };
    Some(BlockDevice {
        name: name.to_string(),
        number: (major.parse().ok()?, minor.parse().ok()?),
        kind,
        size: Bytes(size),
        read_only: value(tree, &at.join("ro")) == Some(1),
        removable: value(tree, &hardware.join("removable")) == Some(1),
        model: ["device/vendor", "device/model"]
            .iter()
            .filter_map(|file| text(tree, &hardware.join(file)))
            .collect::<Vec<_>>()
            .join(" "),
        slaves: names(tree, &at.join("slaves")),
        holders: names(tree, &at.join("holders")),
    })
}

fn kind(tree: &dyn Tree, at: &RootPath, name: &str) -> Option<DeviceKind> {
    if let Some(number) = value(tree, &at.join("partition")) {
        // …/block/sda/sda2: the link's last but one part is the disk.
        let real = root::canonical(tree, at).ok()?;
        return Some(DeviceKind::Partition {
            disk: real.parent().file_name()?.to_str()?.to_string(),
            number: u32::try_from(number).ok()?,
            start: value(tree, &at.join("start"))?.checked_mul(512)?,
        });
    }
    if let Some(mapper) = text(tree, &at.join("dm/name")) {
        return Some(DeviceKind::Mapper {
            name: mapper,
            uuid: text(tree, &at.join("dm/uuid")).unwrap_or_default(),
        });
    }
    if let Some(level) = text(tree, &at.join("md/level")) {
        let missing = value(tree, &at.join("md/degraded")).unwrap_or(0);
        return Some(DeviceKind::Array {
            level,
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
        });
    }
    if name.starts_with("loop") {
        let file = text(tree, &at.join("loop/backing_file"))?;
        return Some(DeviceKind::Loop { file: file.into() });
    }
    Some(DeviceKind::Disk)
}

fn text(tree: &dyn Tree, path: &RootPath) -> Option<String> {
    let bytes = root::read(tree, path, 8192).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_string();
    Some(text).filter(|text| !text.is_empty())
}

fn value(tree: &dyn Tree, path: &RootPath) -> Option<u64> {
    text(tree, path)?.parse().ok()
}

fn names(tree: &dyn Tree, path: &RootPath) -> Vec<String> {
    let names = tree.list(path).unwrap_or_default();
    names
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// The disks at the bottom of `name`, itself when it is one.
#[must_use]
pub fn disks_below(devices: &BTreeMap<String, BlockDevice>, name: &str) -> Vec<String> {
    let mut bottom = Vec::new();
    let mut pending = vec![name.to_string()];
    let mut seen = Vec::new();
    while let Some(name) = pending.pop() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        let Some(device) = devices.get(&name) else {
            continue;
        };
        match &device.kind {
            DeviceKind::Partition { disk, .. } => pending.push(disk.clone()),
            _ if device.slaves.is_empty() => bottom.push(name),
            _ => pending.extend(device.slaves.iter().cloned()),
        }
    }
    bottom.sort();
    bottom
}

/// Reads the running machine.
#[must_use]
pub fn machine() -> BTreeMap<String, BlockDevice> {
    devices(&root::Host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn sysfs() -> Mem {
        Mem::new()
            .with_link("/sys/class/block/sda", "../../devices/pci/block/sda")
            .with_link("/sys/class/block/sda2", "../../devices/pci/block/sda/sda2")
            .with_link("/sys/class/block/dm-0", "../../devices/virtual/block/dm-0")
            .with_link(
                "/sys/class/block/loop0",
                "../../devices/virtual/block/loop0",
            )
            .with_file("/sys/devices/pci/block/sda/dev", "8:0\n")
            .with_file("/sys/devices/pci/block/sda/size", "2048\n")
            .with_file("/sys/devices/pci/block/sda/removable", "1\n")
            .with_file("/sys/devices/pci/block/sda/device/model", "Stick   \n")
            .with_file("/sys/devices/pci/block/sda/sda2/dev", "8:2\n")
            .with_file("/sys/devices/pci/block/sda/sda2/size", "1024\n")
            .with_file("/sys/devices/pci/block/sda/sda2/start", "64\n")
            .with_file("/sys/devices/pci/block/sda/sda2/partition", "2\n")
            .with_dir("/sys/devices/pci/block/sda/sda2/holders/dm-0")
            .with_file("/sys/devices/virtual/block/dm-0/dev", "253:0\n")
            .with_file("/sys/devices/virtual/block/dm-0/size", "1000\n")
            .with_file("/sys/devices/virtual/block/dm-0/dm/name", "web03_crypt\n")
            .with_file(
                "/sys/devices/virtual/block/dm-0/dm/uuid",
                "CRYPT-LUKS2-91bc-web03_crypt\n",
            )
            .with_dir("/sys/devices/virtual/block/dm-0/slaves/sda2")
            .with_file("/sys/devices/virtual/block/loop0/dev", "7:0\n")
            .with_file("/sys/devices/virtual/block/loop0/size", "0\n")
    }

    #[test]
    fn the_stack_is_seen() {
        let devices = devices(&sysfs());
        let names: Vec<&str> = devices.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["dm-0", "sda", "sda2"],
            "a loop without a file is nothing"
        );
        let part = &devices["sda2"];
        let kind = DeviceKind::Partition {
            disk: "sda".into(),
            number: 2,
            start: 32768,
        };
        assert_eq!((&part.kind, part.removable), (&kind, true));
        assert_eq!(part.model, "Stick");
        assert_eq!(part.holders, ["dm-0"]);
        assert_eq!(devices["dm-0"].shown(), "web03_crypt");
        assert_eq!(disks_below(&devices, "dm-0"), ["sda"]);
    }

    #[test]
    fn lvms_own_parts_are_internal() {
        let mut device = devices(&sysfs())["dm-0"].clone();
        assert!(!device.is_internal());
        for (uuid, internal) in [("LVM-abc", false), ("LVM-abc-real", true)] {
            device.kind = DeviceKind::Mapper {
                name: "x".into(),
                uuid: uuid.into(),
            };
            assert_eq!(device.is_internal(), internal);
        }
    }
}
