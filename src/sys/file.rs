//! Making, renaming and removing single names below an open directory. No name is ever followed
//! as a link.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{SysError, SysResult};

/// openat(O_CREAT|O_EXCL|O_NOFOLLOW) for reading and writing.
///
/// # Errors
/// EEXIST when the name is taken; otherwise as openat(2).
pub fn create_new(directory: impl AsFd, name: &Path, mode: u32) -> SysResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode)).map_err(|errno| {
        SysError::new(
            "openat",
            format_args!("{name:?}, O_CREAT|O_EXCL, {mode:#o}"),
            errno,
        )
    })
}

/// openat(O_RDWR|O_NOFOLLOW) of a file that exists.
///
/// # Errors
/// The errno of openat(2).
pub fn open_existing(directory: impl AsFd, name: &Path) -> SysResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
        .map_err(|errno| SysError::new("openat", format_args!("{name:?}, O_RDWR"), errno))
}

/// Writes all of `bytes` at the descriptor's position.
///
/// # Errors
/// The errno of write(2).
pub fn write_all(file: OwnedFd, bytes: &[u8]) -> SysResult<()> {
    let length = bytes.len();
    File::from(file)
        .write_all(bytes)
        .map_err(|error| SysError::from_io("write", format_args!("{length} bytes"), &error))
}

/// mkdirat(2).
///
/// # Errors
/// EEXIST when the name is taken; otherwise as mkdirat(2).
pub fn make_directory(directory: impl AsFd, name: &Path, mode: u32) -> SysResult<()> {
    rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(mode))
        .map_err(|errno| SysError::new("mkdirat", format_args!("{name:?}, {mode:#o}"), errno))
}

/// renameat(2) inside one directory.
///
/// # Errors
/// The errno of renameat(2).
pub fn rename_in(directory: impl AsFd, from: &Path, to: &Path) -> SysResult<()> {
    rustix::fs::renameat(&directory, from, &directory, to)
        .map_err(|errno| SysError::new("renameat", format_args!("{from:?}, {to:?}"), errno))
}

/// unlinkat(2) of anything but a directory.
///
/// # Errors
/// The errno of unlinkat(2).
pub fn unlink(directory: impl AsFd, name: &Path) -> SysResult<()> {
    rustix::fs::unlinkat(directory, name, AtFlags::empty())
        .map_err(|errno| SysError::new("unlinkat", format_args!("{name:?}"), errno))
}

/// unlinkat(AT_REMOVEDIR): an empty directory that is no mount point.
///
/// # Errors
/// ENOTEMPTY, EBUSY (a mount point): the errno of unlinkat(2).
pub fn remove_directory(directory: impl AsFd, name: &Path) -> SysResult<()> {
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)
        .map_err(|errno| SysError::new("unlinkat", format_args!("{name:?}, AT_REMOVEDIR"), errno))
}
