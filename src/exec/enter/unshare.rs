//! The supervisor's own namespaces.

use crate::sys::{self, SysError};

/// Proof that [`unshare`] was called: from here on mounts are the session's own.
#[must_use]
#[derive(Debug)]
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
    sys::mount::enslave_root().map_err(UserNamespaceError::Mount)?;
    Ok(Namespaces(()))
}
