//! Block devices as descriptors: opened for reading, asked whether somebody holds them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, SeekFrom};

use super::{SysError, SysResult};

/// Opens a device or an image file for reading.
///
/// # Errors
/// The errno of open(2): ENXIO and ENOMEDIUM when nothing is behind it.
pub fn open(path: &Path) -> SysResult<OwnedFd> {
    open_with(path, OFlags::empty())
}

/// Opens a block device with O_EXCL: succeeds only when no filesystem, device-mapper target, md
/// array, swap or virtual machine claims it. The claim ends with the descriptor.
///
/// # Errors
/// EBUSY: it is claimed.
pub fn open_exclusive(path: &Path) -> SysResult<OwnedFd> {
    open_with(path, OFlags::EXCL)
}

/// Opens a device or an image file for reading and writing.
///
/// # Errors
/// The errno of open(2): EROFS, EACCES.
pub fn open_to_write(path: &Path) -> SysResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| SysError::new("open", format_args!("{path:?}, {flags:?}"), errno))
}

fn open_with(path: &Path, more: OFlags) -> SysResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | more;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| SysError::new("open", format_args!("{path:?}, {flags:?}"), errno))
}

/// The length in bytes of an open block device or file.
///
/// # Errors
/// The errno of lseek(2).
pub fn length(device: impl AsFd) -> SysResult<u64> {
    rustix::fs::seek(device, SeekFrom::End(0))
        .map_err(|errno| SysError::new("lseek", format_args!("0, SEEK_END"), errno))
}
