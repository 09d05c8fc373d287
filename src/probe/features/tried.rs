//! Abilities that are tried: by calls that must fail, and in a process that ends.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::DumpableBehavior;

use crate::sys::ability::{self, Call};
use crate::sys::{self, SysResult, worker};

/// Who has no rights whatever the machine.
const NOBODY: u32 = 65534;

/// What came of trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// System calls that this kernel lacks.
    pub lacking: Vec<Call>,
    /// The version of Landlock's interface.
    pub landlock: Result<i64, Errno>,
    /// Seccomp filters.
    pub seccomp: Result<(), Errno>,
    /// A user namespace, made by somebody without privileges.
    pub user_namespace: UserNamespace,
}

/// What came of making a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserNamespace {
    /// It works, mounts and all.
    Works,
    /// At this stage it failed: "unshare", "writing uid_map", "mount".
    Fails(&'static str, Errno),
    /// The trial itself did not work.
    Unknown,
}

/// Tries.
#[must_use]
pub fn tried() -> Tried {
    let calls = [
        Call::OpenAt2,
        Call::OpenTree,
        Call::FsOpen,
        Call::MountSetattr,
        Call::PidfdOpen,
        Call::Clone3,
        Call::CloseRange,
    ];
    Tried {
        lacking: calls
            .into_iter()
            .filter(|call| !ability::has(*call))
            .collect(),
        landlock: ability::landlock(),
        seccomp: ability::seccomp(),
        user_namespace: user_namespace().unwrap_or(UserNamespace::Unknown),
    }
}

const STAGES: [&str; 3] = ["unshare", "writing uid_map", "mount"];

/// In a process of its own, as nobody where the caller is root: that is whom settings forbid it.
fn user_namespace() -> SysResult<UserNamespace> {
    let (answer, theirs) = worker::pipe()?;
    let child = worker::start(|| say(&theirs, make_one()))?;
    drop(theirs);
    let mut bytes = [0; 5];
    let count = rustix::io::read(&answer, &mut bytes).unwrap_or(0);
    child.wait()?;
    if count != bytes.len() {
        return Ok(UserNamespace::Unknown);
    }
    let [stage, errno @ ..] = bytes;
    Ok(match STAGES.get(usize::from(stage)) {
        Some(stage) => {
            UserNamespace::Fails(stage, Errno::from_raw_os_error(i32::from_ne_bytes(errno)))
        }
        None => UserNamespace::Works,
    })
}

/// The stage that failed. In a user namespace of one id, root cannot become anybody else.
fn make_one() -> Result<(), (u8, Errno)> {
    let is_root = rustix::process::geteuid().is_root();
    if is_root && sys::process::become_user(NOBODY, NOBODY, Some(&[])).is_ok() {
        // Otherwise /proc/self is root's after the change, and nobody could write his map.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).ok();
    }
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    try_as(uid, gid)
}

fn try_as(uid: u32, gid: u32) -> Result<(), (u8, Errno)> {
    let at = |stage: u8| move |error: sys::SysError| (stage, error.errno);
    sys::ns::unshare(true).map_err(at(0))?;
    sys::ns::write_own("setgroups", "deny").map_err(at(1))?;
    sys::ns::write_own("uid_map", &format!("0 {uid} 1\n")).map_err(at(1))?;
    sys::ns::write_own("gid_map", &format!("0 {gid} 1\n")).map_err(at(1))?;
    match sys::mount::enslave_root() {
        // In a chroot `/` may be no mount point.
        Err(error) if error.errno != Errno::INVAL => Err(at(2)(error)),
        _ => Ok(()),
    }
}

fn say(to: &OwnedFd, result: Result<(), (u8, Errno)>) {
    let (stage, errno) = match result {
        Ok(()) => (u8::MAX, 0),
        Err((stage, errno)) => (stage, errno.raw_os_error()),
    };
    let mut bytes = vec![stage];
    bytes.extend(errno.to_ne_bytes());
    sys::file::write_all(to, &bytes).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_says_something_and_leaves_this_process_as_it_was() {
        let before = sys::ns::inode_of_this("user").unwrap();
        let tried = tried();
        assert_ne!(tried.user_namespace, UserNamespace::Unknown);
        assert_eq!(sys::ns::inode_of_this("user").unwrap(), before);
    }
}
