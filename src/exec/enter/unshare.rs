//! The supervisor's own namespaces.

use std::path::Path;

use rustix::io::Errno;

use crate::sys::{self, SysError, SysResult};

/// Proof that [`unshare`] was called: from here on mounts are the session's own.
#[must_use]
#[derive(Clone, Copy, Debug)]
pub struct Namespaces(());

/// Why there is no user namespace.
#[derive(Debug, thiserror::Error)]
pub enum UserNamespaceError {
    /// It could not be made.
    #[error(transparent)]
    Make(SysError),
    /// It was made, but its ids could not be mapped.
    #[error(transparent)]
    Map(SysError),
    /// Its mounts could not be changed: what AppArmor's restriction does.
    #[error(transparent)]
    Mount(SysError),
}

/// Leaves the inherited mount namespace; in a user namespace where `user` says so, with the
/// caller as its root and nobody else in it. What is inherited becomes a slave: mounts and
/// unmounts of the host still come, so that no device is kept busy by a copy, and none goes back.
///
/// # Errors
/// Which of the stages failed, with the call.
pub fn unshare(user: bool) -> Result<Namespaces, UserNamespaceError> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    sys::ns::unshare(user).map_err(UserNamespaceError::Make)?;
    if user {
        // Without "deny" an unprivileged gid_map is refused (CVE-2014-8989).
        for (name, text) in [
            ("setgroups", String::from("deny")),
            ("uid_map", format!("0 {uid} 1\n")),
            ("gid_map", format!("0 {gid} 1\n")),
        ] {
            sys::ns::write_own(name, &text).map_err(UserNamespaceError::Map)?;
        }
    }
    match sys::mount::enslave_root() {
        Err(error) if error.errno == Errno::INVAL => enslave_from_chroot(),
        done => done,
    }
    .map_err(UserNamespaceError::Mount)?;
    Ok(Namespaces(()))
}

/// In a chroot `/` may be no mount point, and propagation is a property of mounts. Joining the
/// namespace that the process is in already leads to its topmost root, where it can be set;
/// then back to where the process was.
fn enslave_from_chroot() -> SysResult<()> {
    let open = |path: &str| {
        sys::fs::open_path(rustix::fs::CWD, Path::new(path))
            .map_err(|error| SysError::from_io("openat", format_args!("{path:?}"), &error))
    };
    let (root, here) = (open("/")?, open(".")?);
    let own = sys::fs::open_to_read(rustix::fs::CWD, Path::new("/proc/self/ns/mnt"))
        .map_err(|error| SysError::from_io("openat", format_args!("ns/mnt"), &error))?;
    sys::ns::join_mounts(&own)?;
    let enslaved = sys::mount::enslave_root();
    sys::ns::change_directory(&root)?;
    sys::ns::change_root_here()?;
    sys::ns::change_directory(&here)?;
    enslaved
}
