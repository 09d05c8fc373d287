//! Whether the kernel has a call, asked with arguments that it must refuse: a kernel without the
//! call says ENOSYS, one with it finds fault with the arguments. Nothing is changed.

#![expect(unsafe_code, reason = "system calls by number")]

use rustix::io::Errno;

use super::last_errno;

/// A system call that newroot prefers where it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// openat2(2)
    OpenAt2,
    /// open_tree(2)
    OpenTree,
    /// fsopen(2)
    FsOpen,
    /// mount_setattr(2)
    MountSetattr,
    /// pidfd_open(2)
    PidfdOpen,
    /// clone3(2)
    Clone3,
    /// close_range(2)
    CloseRange,
}

impl Call {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAt2 => "openat2",
            Self::OpenTree => "open_tree",
            Self::FsOpen => "fsopen",
            Self::MountSetattr => "mount_setattr",
            Self::PidfdOpen => "pidfd_open",
            Self::Clone3 => "clone3",
            Self::CloseRange => "close_range",
        }
    }
}

/// Whether the kernel has it.
#[must_use]
pub fn has(call: Call) -> bool {
    let none = std::ptr::null::<u8>();
    // SAFETY: every pointer is null, every length 0 and every descriptor -1 (or the range empty),
    // which each of these calls refuses before it does anything.
    let result = unsafe {
        match call {
            Call::OpenAt2 => libc::syscall(libc::SYS_openat2, -1, none, none, 0),
            Call::OpenTree => libc::syscall(libc::SYS_open_tree, -1, none, 0),
            Call::FsOpen => libc::syscall(libc::SYS_fsopen, none, 0),
            Call::MountSetattr => libc::syscall(libc::SYS_mount_setattr, -1, none, 0, none, 0),
            Call::PidfdOpen => libc::syscall(libc::SYS_pidfd_open, -1, 0),
            Call::Clone3 => libc::syscall(libc::SYS_clone3, none, 0),
            Call::CloseRange => libc::syscall(libc::SYS_close_range, 1, 0, 0),
        }
    };
    result >= 0 || last_errno() != Errno::NOSYS
}

/// The version of Landlock's interface, as the kernel has it.
///
/// # Errors
/// ENOSYS when it was left out, EOPNOTSUPP when it was switched off at boot.
pub fn landlock() -> Result<i64, Errno> {
    const VERSION: u32 = 1;
    let none = std::ptr::null::<u8>();
    // SAFETY: with this flag a null pointer and length 0 are what the call wants; it makes nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0, VERSION) };
    if version < 0 {
        return Err(last_errno());
    }
    Ok(version)
}

/// Whether a seccomp filter may kill the process.
///
/// # Errors
/// ENOSYS, EINVAL when there is no seccomp; EOPNOTSUPP when it cannot do that.
pub fn seccomp() -> Result<(), Errno> {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one u32, which lives until the call is over.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            std::ptr::from_ref(&action),
        )
    };
    if result < 0 {
        return Err(last_errno());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_changes_nothing_and_calls_that_tests_need_are_there() {
        for call in [Call::OpenAt2, Call::PidfdOpen, Call::CloseRange] {
            assert!(has(call), "{}", call.name());
        }
        // Standard output would be closed if the range were not empty.
        assert!(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_ok());
    }
}
