//! Reading a tree of files as one thing: never through a link, never across a mount.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::fs::{meta_of_fd, open_in_root};

/// How often openat2 is tried again after EAGAIN (a rename raced with the lookup).
const RESOLVE_TRIES: usize = 128;

/// openat2(2) with RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_XDEV below `root`.
///
/// `st_dev` alone would not do: a bind mount has the device number of its source, an overlay
/// gives files other numbers than directories, and a btrfs subvolume differs without a mount.
/// Kernels without openat2 (before 5.6) get libpathrs' walk, and there `st_dev` has to do.
///
/// # Errors
/// EXDEV when something is mounted at `path` or above it; ELOOP for a link on the way;
/// otherwise the errno of openat2(2).
pub fn open_beneath(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    for _ in 0..RESOLVE_TRIES {
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => return open_by_device(&root, path, flags),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn open_by_device(root: &impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let fd = open_in_root(root, path, flags, Mode::empty())?;
    if meta_of_fd(&fd)?.id.device == meta_of_fd(root)?.id.device {
        Ok(fd)
    } else {
        Err(Errno::XDEV.into())
    }
}
