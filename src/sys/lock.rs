//! POSIX record locks: they belong to one process, are not inherited by fork(2), and go when the
//! process ends however it ends. So a lock says that its owner is alive, and nothing that the
//! owner started can keep it.
//!
//! The kernel drops a process's lock when it closes *any* descriptor of that file: the owner must
//! never open its own lock file a second time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::FlockOperation;

/// fcntl(F_SETLK, F_WRLCK) on the whole file; `false` when somebody else has it.
///
/// # Errors
/// The errno of fcntl(2).
pub fn try_lock(file: impl AsFd) -> io::Result<bool> {
    match fcntl(file.as_fd(), FcntlArg::F_SETLK(&whole_file())) {
        Ok(_) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// fcntl(F_GETLK): whether another process has the lock.
///
/// # Errors
/// The errno of fcntl(2).
pub fn is_locked(file: impl AsFd) -> io::Result<bool> {
    let mut lock = whole_file();
    fcntl(file.as_fd(), FcntlArg::F_GETLK(&mut lock))?;
    Ok(lock.l_type != unlocked())
}

/// A lock on a directory, which goes with this value, or with the process. Beside the records
/// above there is no file that a death could leave.
#[derive(Debug)]
#[must_use = "the lock goes when this is dropped"]
pub struct DirectoryLock(OwnedFd);

impl DirectoryLock {
    /// flock(LOCK_EX | LOCK_NB) on an open directory that nobody else in this process has locked;
    /// `None` when somebody has the lock.
    ///
    /// # Errors
    /// The errno of flock(2).
    pub fn take(directory: OwnedFd) -> io::Result<Option<Self>> {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(directory))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // A forked worker that still lives shares the lock: closing alone would not end it.
        rustix::fs::flock(&self.0, FlockOperation::Unlock).ok();
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "F_* and SEEK_SET are ints in C and shorts in struct flock"
)]
fn whole_file() -> libc::flock {
    // SAFETY: flock is a C struct of integers; all-zero is a valid value of it.
    #[expect(unsafe_code, reason = "a zeroed C struct")]
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

#[expect(clippy::cast_possible_truncation, reason = "as above")]
fn unlocked() -> libc::c_short {
    libc::F_UNLCK as libc::c_short
}
