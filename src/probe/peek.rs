//! A look into a filesystem that leaves no trace (design rule 8): a detached mount, read-only and
//! without journal replay, that no mount table shows; closed, and proven closed, afterwards.
//!
//! While a peek is open, a read-write mount of the same device fails or silently becomes
//! read-only. So a peek is never open when a real mount is made: [`Peek::finish`] comes first.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::busy;
use super::condition;
use super::partitions::Opened;
use crate::model::{MountFlags, RootPath};
use crate::root::{Host, InRoot};
use crate::sys::loopdev::{self, LoopDevice};
use crate::sys::mount::{self, FsOption};
use crate::sys::{SysError, block, errno_of};

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
    /// The device is still claimed after the peek was closed, and by this very process.
    #[error("{0} is still in use after it was looked into")]
    StillClaimed(PathBuf),
    /// Somebody else claimed the device while it was looked into.
    #[error("somebody else uses {0} since it was looked into")]
    Taken(PathBuf),
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
        let (driver, options) =
            how(kind, others, subvolume).ok_or_else(|| PeekError::Unknown(kind.to_string()))?;
        let shield = match driver {
            "ext4" if has_orphans(device)? => Some(shield(device)?),
            // Where it comes upon damage, the driver counts it in the superblock, of a read-only
            // mount as well (ext4_handle_error, f2fs_handle_error). Only damage asks for this
            // shield: without a loop driver it is left out.
            "ext4" | "f2fs" if !refuses_writes(device) => shield(device).ok(),
            _ => None,
        };
        let source = shield
            .as_ref()
            .map_or(device, |shield| shield.path.as_path());
        let fd = mount_detached(driver, source, &options).map_err(|error| {
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
        let directory =
            crate::sys::fs::open_directory_path(rustix::fs::CWD, mount_point).map_err(|error| {
                SysError::new("open", format_args!("{mount_point:?}"), errno_of(&error))
            })?;
        let fd = mount::clone_detached(directory, false)?;
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
        let (driver, options) = how("btrfs", others, Subvolume::Default)?;
        // A second mount of the same filesystem, read-only as the first: closed right here.
        let fd = mount_detached(driver, device, &options).ok()?;
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
    /// Where a device stays claimed for a second: [`PeekError::StillClaimed`] when it is this
    /// look that was not closed, [`PeekError::Taken`] when somebody else has it now.
    pub fn finish(self) -> Result<(), PeekError> {
        let Self {
            root,
            devices,
            shield,
            ..
        } = self;
        let mount = busy::mount_of(root.fd());
        drop(root);
        drop(shield);
        for device in devices {
            released(&device, mount)?;
        }
        Ok(())
    }
}

/// Waits until nobody claims `device`: udev may look at it for a moment. `mount` is the number of
/// the mount that the look was.
fn released(device: &Path, mount: Option<u64>) -> Result<(), PeekError> {
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
    let device = device.to_path_buf();
    // A filesystem lives as long as a descriptor leads to a mount of it.
    if mount.is_none_or(busy::is_held_here) {
        return Err(PeekError::StillClaimed(device));
    }
    Err(PeekError::Taken(device))
}

/// The driver and the words that keep it from writing.
fn how(
    kind: &str,
    others: &[PathBuf],
    subvolume: Subvolume,
) -> Option<(&'static str, Vec<FsOption>)> {
    let words = |words: &[&str]| -> Vec<FsOption> {
        words
            .iter()
            .map(|word| ((*word).to_string(), None))
            .collect()
    };
    let value = |key: &str, value: &str| (key.to_string(), Some(value.to_string()));
    Some(match kind {
        // `noload` is refused under the names ext2 and ext3; the ext4 driver reads them all.
        "ext2" | "ext3" | "ext4" => ("ext4", words(&["noload"])),
        // A clone of a mounted xfs has the same UUID; nouuid allows both.
        "xfs" => ("xfs", words(&["norecovery", "nouuid"])),
        "f2fs" => ("f2fs", words(&["norecovery"])),
        "vfat" => ("vfat", Vec::new()),
        "btrfs" => {
            let mut options = vec![value("rescue", "nologreplay")];
            if subvolume == Subvolume::Top {
                options.push(value("subvolid", "5"));
            }
            for other in others {
                options.push(value("device", other.to_str()?));
            }
            ("btrfs", options)
        }
        _ => return None,
    })
}

/// What makes a filesystem that is looked into harmless: nothing on it is written, run, opened as
/// a device, or given its set-id bits.
const LOOK_ONLY: MountFlags = MountFlags::INERT.read_only();

/// Mounts detached; a btrfs that lacks a device is tried again without it, one of a kernel before
/// 5.9 with the old word.
fn mount_detached(
    driver: &str,
    source: &Path,
    options: &[FsOption],
) -> Result<std::os::fd::OwnedFd, SysError> {
    let source = source.to_string_lossy();
    let try_with = |options: &[FsOption]| mount::new_detached(driver, &source, options, LOOK_ONLY);
    let first = try_with(options);
    if driver != "btrfs" || first.is_ok() {
        return first;
    }
    let mut degraded = options.to_vec();
    degraded.push(("degraded".to_string(), None));
    let mut old = degraded.clone();
    for option in &mut old {
        if option.0 == "rescue" {
            *option = ("nologreplay".to_string(), None);
        }
    }
    try_with(&degraded).or_else(|_| try_with(&old)).or(first)
}

/// Whether an ext4 lists files that were deleted while open. The driver takes them away even on
/// a read-only mount without journal (ext4_orphan_cleanup), unless the device refuses writes.
fn has_orphans(device: &Path) -> Result<bool, PeekError> {
    Ok(condition::of("ext4", &Opened::new(block::open(device)?)?).orphans)
}

/// Whether the kernel takes no writes to `device`, whoever asks: a loop device over an image, a
/// disc. Opened for writing, it would tell; and udev would look at it anew.
fn refuses_writes(device: &Path) -> bool {
    let Ok(stat) = rustix::fs::stat(device) else {
        return false;
    };
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let path = RootPath::new(format!("/sys/dev/block/{major}:{minor}/ro"));
    crate::root::read(&Host, &path, 16).is_ok_and(|value| value.starts_with(b"1"))
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
            let (_, options) = how(kind, &[], Subvolume::Top)?;
            let text = options.iter().map(|(key, value)| match value {
                None => key.clone(),
                Some(value) => format!("{key}={value}"),
            });
            Some(text.collect::<Vec<_>>().join(","))
        };
        let table = [
            ("ext2", Some("noload")),
            ("ext4", Some("noload")),
            ("xfs", Some("norecovery,nouuid")),
            ("btrfs", Some("rescue=nologreplay,subvolid=5")),
            ("vfat", Some("")),
            ("f2fs", Some("norecovery")),
            ("ntfs", None),
            ("zfs_member", None),
            ("reiserfs", None),
        ];
        for (kind, wanted) in table {
            assert_eq!(words(kind).as_deref(), wanted, "{kind}");
        }
    }
}
