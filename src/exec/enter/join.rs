//! Joining a session that runs: its init's namespaces and root, by descriptors that cannot come
//! to mean another process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;

use crate::session::Process;
use crate::sys::{self, SysError, SysResult};

/// The init of a session, held.
#[derive(Debug)]
pub struct Target {
    /// In the order in which they are joined: the user namespace gives the right to the others.
    namespaces: Vec<OwnedFd>,
    root: OwnedFd,
    other_user: bool,
}

impl Target {
    /// Takes hold of the init; it is the one that was recorded, and not a later process of its
    /// number.
    ///
    /// # Errors
    /// ESRCH when it is gone, EACCES when it is another user's.
    pub fn open(init: Process) -> SysResult<Self> {
        let path = format!("/proc/{}/root", init.pid);
        let root = sys::fs::open_directory_path(CWD, Path::new(&path))
            .map_err(|error| SysError::from_io("openat", format_args!("{path:?}"), &error))?;
        let inode = |pid, kind| {
            sys::ns::inode(pid, kind)
                .map_err(|error| SysError::from_io("stat", format_args!("ns/{kind}"), &error))
        };
        let own = rustix::process::getpid().as_raw_nonzero().get();
        // Joining one's own user namespace is refused (EINVAL).
        let other_user = inode(init.pid, "user")? != inode(own, "user")?;
        let kinds = ["user", "pid", "mnt"]
            .into_iter()
            .skip(usize::from(!other_user));
        let namespaces = kinds
            .map(|kind| open_namespace(init.pid, kind))
            .collect::<SysResult<_>>()?;
        // Looked at last: what was opened before was opened while it still lived.
        if !init.exists() {
            return Err(SysError::new(
                "openat",
                format_args!("{}: another process by now", init.pid),
                Errno::SRCH,
            ));
        }
        Ok(Self {
            namespaces,
            root,
            other_user,
        })
    }

    /// Its `/`.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Whether it is in a user namespace of its own: there one user exists.
    #[must_use]
    pub fn is_user_namespace(&self) -> bool {
        self.other_user
    }

    pub(super) fn join(&self) -> SysResult<()> {
        for namespace in &self.namespaces {
            sys::ns::join(namespace)?;
        }
        // The namespace's own `/` is below what a chroot left there.
        sys::ns::change_directory(&self.root)?;
        sys::ns::change_root_here()
    }
}

fn open_namespace(pid: i32, kind: &str) -> SysResult<OwnedFd> {
    let path = format!("/proc/{pid}/ns/{kind}");
    sys::fs::open_to_read(CWD, Path::new(&path))
        .map_err(|error| SysError::from_io("openat", format_args!("{path:?}"), &error))
}
