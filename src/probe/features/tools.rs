//! Programs that newroot calls or that a rescue needs, and the package of each distribution
//! family that brings them.

use crate::model::{Kind, RootPath};
use crate::probe::osrelease::OsRelease;
use crate::root::Tree;

/// Distributions that name and install packages alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and their children.
    Debian,
    /// Fedora, RHEL and their relatives.
    Fedora,
    /// Arch and its children (SystemRescue is one).
    Arch,
    /// openSUSE, SLE.
    Suse,
    /// Alpine.
    Alpine,
}

impl Family {
    /// What installs a package.
    #[must_use]
    pub fn installer(self) -> &'static str {
        match self {
            Self::Debian => "apt install",
            Self::Fedora => "dnf install",
            Self::Arch => "pacman -S",
            Self::Suse => "zypper install",
            Self::Alpine => "apk add",
        }
    }
}

/// The family, by what the system says of itself, else by its package manager.
#[must_use]
pub fn family(tree: &dyn Tree, release: &OsRelease) -> Option<Family> {
    let by_name = [
        (Family::Debian, &["debian", "ubuntu", "grml", "kali"][..]),
        (Family::Fedora, &["fedora", "rhel", "centos"]),
        (Family::Arch, &["arch", "sysrescue", "systemrescue"]),
        (Family::Suse, &["suse", "opensuse", "sles"]),
        (Family::Alpine, &["alpine", "postmarketos"]),
    ];
    let by_manager = [
        (Family::Debian, "apt-get"),
        (Family::Fedora, "dnf"),
        (Family::Suse, "zypper"),
        (Family::Arch, "pacman"),
        (Family::Alpine, "apk"),
    ];
    let named = by_name
        .iter()
        .find(|(_, names)| names.iter().any(|name| release.is_like(name)));
    let managed = || {
        by_manager
            .iter()
            .find(|(_, program)| find(tree, program).is_some())
    };
    named
        .map(|(family, _)| *family)
        .or_else(|| managed().map(|(family, _)| *family))
}

/// A program, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub path: Option<RootPath>,
    /// What newroot, or somebody in a rescue, lacks without it.
    pub without: &'static str,
    /// The package that brings it; `None` where the family is not known or has none.
    pub package: Option<&'static str>,
}

/// Name, other names, what is lacking without it, packages: Debian, Fedora, Arch, SUSE, Alpine.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static str,
    [&'static str; 5],
);

const ALIKE: fn(&'static str) -> [&'static str; 5] = |name| [name; 5];

fn rows() -> Vec<Row> {
    vec![
        (
            "blkid",
            &[],
            "no scan, mount, rescue or doctor at all",
            [
                "util-linux",
                "util-linux",
                "util-linux",
                "util-linux",
                "blkid",
            ],
        ),
        (
            "cryptsetup",
            &[],
            "LUKS volumes stay locked",
            ALIKE("cryptsetup"),
        ),
        ("lvm", &[], "logical volumes stay inactive", ALIKE("lvm2")),
        (
            "mdadm",
            &[],
            "software RAID stays unassembled",
            ALIKE("mdadm"),
        ),
        (
            "dmsetup",
            &[],
            "what udev left active is not found",
            [
                "dmsetup",
                "device-mapper",
                "device-mapper",
                "device-mapper",
                "device-mapper",
            ],
        ),
        (
            "e2fsck",
            &["fsck.ext4"],
            "ext filesystems are not checked",
            ALIKE("e2fsprogs"),
        ),
        ("xfs_repair", &[], "XFS is not checked", ALIKE("xfsprogs")),
        (
            "btrfs",
            &[],
            "btrfs is not checked, subvolumes stay as they are",
            [
                "btrfs-progs",
                "btrfs-progs",
                "btrfs-progs",
                "btrfsprogs",
                "btrfs-progs",
            ],
        ),
        (
            "fsck.fat",
            &["fsck.vfat"],
            "the EFI system partition is not checked",
            ALIKE("dosfstools"),
        ),
        ("fsck.f2fs", &[], "F2FS is not checked", ALIKE("f2fs-tools")),
        (
            "fsck.exfat",
            &["exfatfsck"],
            "exFAT is not checked",
            ALIKE("exfatprogs"),
        ),
        (
            "ntfsfix",
            &[],
            "a dirty NTFS stays so",
            [
                "ntfs-3g",
                "ntfsprogs",
                "ntfs-3g",
                "ntfsprogs",
                "ntfs-3g-progs",
            ],
        ),
        (
            "zpool",
            &[],
            "ZFS pools are recognised, and not opened",
            ["zfsutils-linux", "zfs", "zfs-utils", "zfs", "zfs"],
        ),
        (
            "efibootmgr",
            &[],
            "boot entries of the firmware cannot be changed",
            ALIKE("efibootmgr"),
        ),
        (
            "mount.nfs",
            &[],
            "NFS mounts of a target's fstab are left out",
            [
                "nfs-common",
                "nfs-utils",
                "nfs-utils",
                "nfs-client",
                "nfs-utils",
            ],
        ),
        (
            "mount.cifs",
            &[],
            "SMB mounts of a target's fstab are left out",
            ALIKE("cifs-utils"),
        ),
        (
            "smartctl",
            &[],
            "a disk is not asked how it is",
            ALIKE("smartmontools"),
        ),
        (
            "ddrescue",
            &[],
            "a failing disk cannot be copied",
            [
                "gddrescue",
                "ddrescue",
                "ddrescue",
                "gnu_ddrescue",
                "ddrescue",
            ],
        ),
        (
            "qemu-aarch64-static",
            &["qemu-aarch64", "qemu-x86_64-static", "qemu-x86_64"],
            "targets of other machines can only be read",
            [
                "qemu-user-static binfmt-support",
                "qemu-user-static",
                "qemu-user-static qemu-user-static-binfmt",
                "qemu-linux-user",
                "qemu-aarch64",
            ],
        ),
        (
            "mksquashfs",
            &[],
            "no jail export --format squashfs",
            [
                "squashfs-tools",
                "squashfs-tools",
                "squashfs-tools",
                "squashfs",
                "squashfs-tools",
            ],
        ),
    ]
}

/// Every tool of the list.
#[must_use]
pub fn tools(tree: &dyn Tree, family: Option<Family>) -> Vec<Tool> {
    rows()
        .into_iter()
        .map(|(name, others, without, packages)| Tool {
            name,
            path: find(tree, name).or_else(|| others.iter().find_map(|other| find(tree, other))),
            without,
            package: family.map(|family| {
                let [debian, fedora, arch, suse, alpine] = packages;
                match family {
                    Family::Debian => debian,
                    Family::Fedora => fedora,
                    Family::Arch => arch,
                    Family::Suse => suse,
                    Family::Alpine => alpine,
                }
            }),
        })
        .collect()
}

/// Where root's programs are, whatever the caller's PATH.
pub(super) fn find(tree: &dyn Tree, name: &str) -> Option<RootPath> {
    const PLACES: [&str; 7] = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/run/current-system/sw/bin",
    ];
    PLACES
        .iter()
        .map(|place| RootPath::new(place).join(name))
        .find(|path| {
            tree.stat(path)
                .is_ok_and(|meta| meta.kind == Kind::File && meta.mode & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::osrelease;
    use crate::root::Mem;

    #[test]
    fn families_are_known_by_name_then_by_their_package_manager() {
        let table = [
            ("ID=debian\n", "", Some(Family::Debian)),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                "",
                Some(Family::Debian),
            ),
            (
                "ID=rocky\nID_LIKE=\"rhel centos fedora\"\n",
                "",
                Some(Family::Fedora),
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                "",
                Some(Family::Suse),
            ),
            ("ID=manjaro\nID_LIKE=arch\n", "", Some(Family::Arch)),
            ("ID=alpine\n", "", Some(Family::Alpine)),
            ("ID=mine\n", "/usr/bin/pacman", Some(Family::Arch)),
            ("ID=mine\n", "", None),
        ];
        for (text, program, expected) in table {
            let release = osrelease::parse(text.as_bytes()).unwrap();
            let mut tree = Mem::new();
            if !program.is_empty() {
                tree = tree.with_file(program, "");
            }
            assert_eq!(family(&tree, &release), expected, "{text}");
        }
    }

    #[test]
    fn a_tool_may_have_another_name_and_its_package_is_the_familys() {
        let tree = Mem::new()
            .with_file("/sbin/fsck.ext4", "")
            .with_dir("/sbin/mdadm");
        let found = tools(&tree, Some(Family::Suse));
        let of = |name: &str| found.iter().find(|tool| tool.name == name).unwrap();
        assert_eq!(of("e2fsck").path, Some(RootPath::new("/sbin/fsck.ext4")));
        assert_eq!(of("mdadm").path, None);
        assert_eq!(of("btrfs").package, Some("btrfsprogs"));
        assert!(tools(&tree, None).iter().all(|tool| tool.package.is_none()));
    }
}
