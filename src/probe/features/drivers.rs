//! The drivers of disks and filesystems, as /proc, /sys and the list of modules have them.

use super::kernel::{ability, text};
use super::modules::Modules;
use super::{Ability, State, tools};
use crate::model::RootPath;
use crate::root::Tree;

/// A driver as /proc/filesystems names it, another one for the same, the program that does it
/// through FUSE, and what is lacking without.
type Driver = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

pub(super) const FILESYSTEMS: [Driver; 16] = [
    (
        "ext4",
        None,
        None,
        "systems on ext2, ext3, ext4 cannot be mounted",
    ),
    ("xfs", None, None, "systems on XFS cannot be mounted"),
    ("btrfs", None, None, "systems on btrfs cannot be mounted"),
    (
        "vfat",
        None,
        None,
        "the EFI system partition cannot be mounted",
    ),
    ("f2fs", None, None, "systems on F2FS cannot be mounted"),
    (
        "bcachefs",
        None,
        None,
        "systems on bcachefs cannot be mounted",
    ),
    (
        "zfs",
        None,
        None,
        "ZFS pools are recognised, and not opened",
    ),
    (
        "ntfs3",
        Some("ntfs"),
        Some("ntfs-3g"),
        "Windows partitions cannot be mounted",
    ),
    (
        "exfat",
        None,
        Some("mount.exfat-fuse"),
        "exFAT partitions cannot be mounted",
    ),
    ("iso9660", None, None, "CD images cannot be mounted"),
    (
        "squashfs",
        None,
        None,
        "squashfs images cannot be looked into",
    ),
    ("erofs", None, None, "EROFS images cannot be looked into"),
    (
        "overlay",
        None,
        None,
        "no writable layer over a read-only root",
    ),
    (
        "fuse",
        None,
        None,
        "filesystems of programs cannot be mounted",
    ),
    (
        "nfs4",
        Some("nfs"),
        None,
        "NFS mounts of a target's fstab are left out",
    ),
    (
        "cifs",
        None,
        None,
        "SMB mounts of a target's fstab are left out",
    ),
];

pub(super) fn loops(tree: &dyn Tree, modules: &Modules) -> Ability {
    let there = tree
        .stat(&RootPath::new("/sys/class/misc/loop-control"))
        .is_ok();
    let state = if there {
        State::Yes
    } else {
        modules.state(tree, "loop")
    };
    let detail = "one for each partition of an image";
    ability(
        "loop devices",
        state,
        detail,
        "image files cannot be scanned, mounted, rescued",
    )
}

pub(super) fn device_mapper(tree: &dyn Tree, modules: &Modules) -> Vec<Ability> {
    let there = tree
        .stat(&RootPath::new("/sys/class/misc/device-mapper"))
        .is_ok();
    let mapper = if there {
        State::Yes
    } else {
        // Without a list of modules its absence in /sys is all there is to go by.
        match modules.state(tree, "dm_mod") {
            State::Unknown => State::No,
            state => state,
        }
    };
    let target = |module| match (mapper, modules.state(tree, module)) {
        (State::No, _) => State::No,
        (_, state) => state,
    };
    vec![
        ability(
            "device-mapper",
            mapper,
            "",
            "neither LUKS nor LVM can be opened",
        ),
        ability("dm-crypt", target("dm_crypt"), "", "LUKS cannot be opened"),
        ability(
            "dm-snapshot, dm-thin",
            match (target("dm_snapshot"), target("dm_thin_pool")) {
                (State::Unknown, _) | (_, State::Unknown) => State::Unknown,
                (State::No, _) | (_, State::No) => State::No,
                (State::Loadable, _) | (_, State::Loadable) => State::Loadable,
                _ => State::Yes,
            },
            "",
            "LVM's snapshots and thin volumes stay closed",
        ),
    ]
}

pub(super) fn raid(tree: &dyn Tree, modules: &Modules) -> Vec<Ability> {
    let state = |module| match modules.state(tree, module) {
        // The kernel lists the personalities that it has.
        State::Unknown => {
            let has_md = tree.stat(&RootPath::new("/proc/mdstat")).is_ok();
            let listed = text(tree, "/proc/mdstat").contains(&format!("[{module}]"));
            if listed || (has_md && module == "md_mod") {
                State::Yes
            } else if has_md {
                State::Unknown
            } else {
                State::No
            }
        }
        state => state,
    };
    let there = tree.stat(&RootPath::new("/proc/mdstat")).is_ok();
    let md = if there { State::Yes } else { state("md_mod") };
    vec![
        ability("md", md, "", "Linux software RAID cannot be assembled"),
        ability(
            "md raid1",
            state("raid1"),
            "",
            "mirrored disks cannot be assembled",
        ),
        ability(
            "md raid5, raid6",
            state("raid456"),
            "",
            "arrays with parity cannot be assembled",
        ),
    ]
}

pub(super) fn filesystem(
    tree: &dyn Tree,
    drivers: &str,
    modules: &Modules,
    (name, other, program, without): Driver,
) -> Ability {
    let has = |name: &str| {
        drivers
            .lines()
            .any(|line| line.split_ascii_whitespace().last() == Some(name))
    };
    let loadable = |name: &str| modules.is_loadable(if name == "nfs4" { "nfsv4" } else { name });
    let program = program.filter(|program| tools::find(tree, program).is_some());
    let (state, detail) = match (other, program) {
        _ if has(name) => (State::Yes, String::new()),
        (Some(other), _) if has(other) => (State::Yes, format!("by the driver {other}")),
        _ if loadable(name) || other.is_some_and(loadable) => (State::Loadable, String::new()),
        (_, Some(program)) if has("fuseblk") => (State::Yes, format!("by the program {program}")),
        _ => (State::No, String::new()),
    };
    ability(name, state, detail, without)
}
