//! An error that shows the system call as strace would.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// A failed system call: its name, its arguments, its errno.
///
/// Shown as `mount("/dev/sda2", "/mnt", "ext4", MS_RDONLY): Device or resource busy (EBUSY)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}({arguments}): {}", describe(*errno))]
pub struct SysError {
    /// The call's name.
    pub call: &'static str,
    /// Its arguments as text, strings quoted.
    pub arguments: String,
    /// What the kernel answered.
    pub errno: Errno,
}

/// The result of a call that changes something.
pub type SysResult<T> = Result<T, SysError>;

impl SysError {
    /// Describes a failed call; `arguments` as in `format_args!("{path:?}, {flags:?}")`.
    pub fn new(call: &'static str, arguments: fmt::Arguments<'_>, errno: Errno) -> Self {
        Self {
            call,
            arguments: arguments.to_string(),
            errno,
        }
    }

    /// The same for an error of the standard library; one without an errno counts as EIO.
    pub fn from_io(call: &'static str, arguments: fmt::Arguments<'_>, error: &io::Error) -> Self {
        Self::new(call, arguments, errno_of(error))
    }
}

/// The errno inside an `io::Error`; EIO when there is none.
#[must_use]
pub fn errno_of(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}

/// The errno that a raw system call left.
pub(super) fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}

/// "No such file or directory (ENOENT)": the text people search for and the name programs use.
#[must_use]
pub fn describe(errno: Errno) -> String {
    let known = nix::errno::Errno::from_raw(errno.raw_os_error());
    if known == nix::errno::Errno::UnknownErrno {
        return format!("unknown error {}", errno.raw_os_error());
    }
    format!("{} ({known:?})", known.desc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_call_is_shown() {
        let error = SysError::new("umount2", format_args!("{:?}, 0", "/mnt"), Errno::BUSY);
        assert_eq!(
            error.to_string(),
            "umount2(\"/mnt\", 0): Device or resource busy (EBUSY)"
        );
    }
}
