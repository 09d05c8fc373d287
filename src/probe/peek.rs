//! A look into a filesystem that leaves no trace (design rule 8): a detached mount, read-only and
//! without journal replay, that no mount table shows; closed, and proven closed, afterwards.
//!
//! While a peek is open, a read-write mount of the same device fails or silently becomes
//! read-only. So a peek is never open when a real mount is made: [`Peek::finish`] comes first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::busy;
use super::partitions::{Medium, Opened};
use crate::model::RootPath;
use crate::root::InRoot;
use crate::sys::fsmount::{self, LOOK_ONLY, Parameter};
use crate::sys::loopdev::{self, LoopDevice};
use crate::sys::{SysError, block};

/// Which tree of a btrfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subvolume {
    /// The top level, number 5.
    Top,
    /// What a mount without an option gives.
    Default,
}

/// Why nothing can be seen.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// There is no way to look without writing, or newroot knows none.
    #[error("no way is known to look into {0} without writing to it")]
    Unknown(String),
    /// This kernel has no driver.
    #[error("this kernel has no {0} driver")]
    NoDriver(String),
    /// The kernel said no.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The device is still claimed after the peek was closed.
    #[error("{0} is still in use after it was looked into")]
    StillClaimed(PathBuf),
}

/// An open look.
#[must_use = "a peek that is open makes a real mount read-only"]
#[derive(Debug)]
pub struct Peek {
    root: InRoot,
    devices: Vec<PathBuf>,
    shield: Option<LoopDevice>,
    borrowed: bool,
}

impl Peek {
    /// Looks into the filesystem of type `kind` on `device`; `others` are the further devices of
    /// a btrfs. Nobody may have it mounted.
    ///
    /// # Errors
    /// [`PeekError`].
    pub fn open(
        kind: &str,
        device: &Path,
        others: &[PathBuf],
        subvolume: Subvolume,
    ) -> Result<Self, PeekError> {
        let (driver, parameters) =
            how(kind, others, subvolume).ok_or_else(|| PeekError::Unknown(kind.to_string()))?;
        let shield = if driver == "ext4" && has_orphans(device)? {
            Some(shield(device)?)
        } else {
            None
        };
        let source = shield
            .as_ref()
            .map_or(device, |shield| shield.path.as_path());
        let fd = mount(driver, source, &parameters).map_err(|error| {
            if error.errno == Errno::NODEV && error.call == "fsopen" {
                PeekError::NoDriver(kind.to_string())
            } else {
                PeekError::Sys(error)
            }
        })?;
        let mut devices = vec![device.to_path_buf()];
        devices.extend_from_slice(others);
        Ok(Self {
            root: InRoot::from_fd(fd),
            devices,
            shield,
            borrowed: false,
        })
    }

    /// Looks through a mount that is there already: a detached clone of it, so that what is
    /// mounted over its directories does not hide them.
    ///
    /// # Errors
    /// The errno of open_tree(2).
    pub fn through(mount_point: &Path) -> Result<Self, PeekError> {
        let fd = fsmount::clone_detached(mount_point)?;
        Ok(Self {
            root: InRoot::from_fd(fd),
            devices: Vec::new(),
            shield: None,
            borrowed: true,
        })
    }

    /// The root of the filesystem.
    #[must_use]
    pub fn root(&self) -> &InRoot {
        &self.root
    }

    /// The number of the subvolume that a mount without an option gives; `None` where this is no
    /// btrfs, or somebody else's mount.
    #[must_use]
    pub fn default_subvolume(&self) -> Option<u64> {
        let (device, others) = self.devices.split_first()?;
        let (driver, parameters) = how("btrfs", others, Subvolume::Default)?;
        // A second mount of the same filesystem, read-only as the first: closed right here.
        let fd = mount(driver, device, &parameters).ok()?;
        super::btrfs::id_of(&InRoot::from_fd(fd))
    }

    /// Whether it is a look through somebody else's mount.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        self.borrowed
    }

    /// A directory of it as a root of its own: a subvolume, a deployment.
    ///
    /// # Errors
    /// The errno of openat2(2).
    pub fn subtree(&self, path: &RootPath) -> std::io::Result<InRoot> {
        self.root.handle(path).map(InRoot::from_fd)
    }

    /// Closes the look and proves with O_EXCL that nothing of it is left.
    ///
    /// # Errors
    /// [`PeekError::StillClaimed`] when a device stays claimed for a second.
    pub fn finish(self) -> Result<(), PeekError> {
        let Self {
            root,
            devices,
            shield,
            ..
        } = self;
        drop(root);
        drop(shield);
        for device in devices {
            released(&device)?;
        }
        Ok(())
    }
}

/// Waits until nobody claims `device`: udev may look at it for a moment.
fn released(device: &Path) -> Result<(), PeekError> {
    const TRIES: u32 = 20;
    for attempt in 0..TRIES {
        match busy::is_claimed(device) {
            Ok(false) => return Ok(()),
            Ok(true) => std::thread::sleep(Duration::from_millis(5 * u64::from(attempt))),
            // Unplugged meanwhile: nothing of ours is left on it.
            Err(error) if matches!(error.errno, Errno::NXIO | Errno::NOENT | Errno::NODEV) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(PeekError::StillClaimed(device.to_path_buf()))
}

/// The driver and the words that keep it from writing.
fn how(
    kind: &str,
    others: &[PathBuf],
    subvolume: Subvolume,
) -> Option<(&'static str, Vec<Parameter>)> {
    let words = |words: &[&str]| -> Vec<Parameter> {
        words
            .iter()
            .map(|word| Parameter::Flag((*word).to_string()))
            .collect()
    };
    let value = |key: &str, value: &str| Parameter::Value(key.to_string(), value.to_string());
    Some(match kind {
        // `noload` is refused under the names ext2 and ext3; the ext4 driver reads them all.
        "ext2" | "ext3" | "ext4" => ("ext4", words(&["ro", "noload"])),
        // A clone of a mounted xfs has the same UUID; nouuid allows both.
        "xfs" => ("xfs", words(&["ro", "norecovery", "nouuid"])),
        "f2fs" => ("f2fs", words(&["ro", "norecovery"])),
        "vfat" => ("vfat", words(&["ro"])),
        "btrfs" => {
            let mut parameters = words(&["ro"]);
            parameters.push(value("rescue", "nologreplay"));
            if subvolume == Subvolume::Top {
                parameters.push(value("subvolid", "5"));
            }
            for other in others {
                parameters.push(value("device", other.to_str()?));
            }
            ("btrfs", parameters)
        }
        _ => return None,
    })
}

/// Mounts detached; a btrfs that lacks a device is tried again without it, one of a kernel before
/// 5.9 with the old word.
fn mount(
    driver: &str,
    source: &Path,
    parameters: &[Parameter],
) -> Result<std::os::fd::OwnedFd, SysError> {
    let first = fsmount::mount_detached(driver, source, parameters, LOOK_ONLY);
    if driver != "btrfs" || first.is_ok() {
        return first;
    }
    let mut degraded = parameters.to_vec();
    degraded.push(Parameter::Flag("degraded".to_string()));
    let mut old = degraded.clone();
    for parameter in &mut old {
        if matches!(parameter, Parameter::Value(key, _) if key == "rescue") {
            *parameter = Parameter::Flag("nologreplay".to_string());
        }
    }
    for parameters in [degraded, old] {
        if let Ok(fd) = fsmount::mount_detached(driver, source, &parameters, LOOK_ONLY) {
            return Ok(fd);
        }
    }
    first
}

/// Whether an ext4 lists files that were deleted while open. The driver takes them away even on
/// a read-only mount without journal (ext4_orphan_cleanup), unless the device refuses writes.
fn has_orphans(device: &Path) -> Result<bool, PeekError> {
    const SUPERBLOCK: u64 = 1024;
    const ORPHAN_PRESENT: u8 = 0x01;
    let medium = Opened::new(block::open(device)?)?;
    let Some(bytes) = medium.bytes(SUPERBLOCK, 1024) else {
        return Ok(true);
    };
    // s_last_orphan, and bit 16 of s_feature_ro_compat.
    Ok(bytes[0xe8..0xec] != [0; 4] || bytes[0x66] & ORPHAN_PRESENT != 0)
}

/// A loop device over `device` that refuses writes. The device's own read-only switch would
/// outlive us if we died.
fn shield(device: &Path) -> Result<LoopDevice, PeekError> {
    let file = block::open(device)?;
    Ok(loopdev::attach_read_only(&file, 0, 0, device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filesystem_is_read_without_replay() {
        let words = |kind: &str| {
            let (_, parameters) = how(kind, &[], Subvolume::Top)?;
            let text = parameters.iter().map(|parameter| match parameter {
                Parameter::Flag(word) => word.clone(),
                Parameter::Value(key, value) => format!("{key}={value}"),
            });
            Some(text.collect::<Vec<_>>().join(","))
        };
        let table = [
            ("ext2", Some("ro,noload")),
            ("ext4", Some("ro,noload")),
            ("xfs", Some("ro,norecovery,nouuid")),
            ("btrfs", Some("ro,rescue=nologreplay,subvolid=5")),
            ("vfat", Some("ro")),
            ("f2fs", Some("ro,norecovery")),
            ("ntfs", None),
            ("zfs_member", None),
            ("reiserfs", None),
        ];
        for (kind, wanted) in table {
            assert_eq!(words(kind).as_deref(), wanted, "{kind}");
        }
    }
}
