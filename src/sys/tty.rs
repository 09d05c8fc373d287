//! The controlling terminal: who has it, its settings, its size.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::termios::{OptionalActions, Termios, Winsize};

use super::{SysError, SysResult};

/// open("/dev/tty"): `None` for a process without a controlling terminal.
#[must_use]
pub fn controlling() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(rustix::fs::CWD, Path::new("/dev/tty"), flags, Mode::empty()).ok()
}

/// Whether the caller's process group has the terminal.
#[must_use]
pub fn is_foreground(terminal: impl AsFd) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether the group that has the terminal lies outside the caller's PID namespace: then nothing
/// that asks who has it (a shell with job control) gets an answer.
#[must_use]
pub fn is_held_outside(terminal: impl AsFd) -> bool {
    // rustix gives this for the 0 that the kernel shows instead of a number.
    rustix::termios::tcgetpgrp(terminal) == Err(Errno::OPNOTSUPP)
}

/// tcsetpgrp(3) for the group `group`, or for the caller's own. SIGTTOU must be held back: the
/// caller may be in the background.
///
/// # Errors
/// EPERM when the group is of another session, ENOTTY without the terminal.
pub fn give_to(terminal: impl AsFd, group: Option<i32>) -> SysResult<()> {
    let group = group
        .and_then(Pid::from_raw)
        .unwrap_or_else(rustix::process::getpgrp);
    rustix::termios::tcsetpgrp(terminal, group)
        .map_err(|errno| SysError::new("tcsetpgrp", format_args!("{group:?}"), errno))
}

/// tcgetattr(3).
#[must_use]
pub fn settings(terminal: impl AsFd) -> Option<Termios> {
    rustix::termios::tcgetattr(terminal).ok()
}

/// tcsetattr(TCSADRAIN). SIGTTOU must be held back.
///
/// # Errors
/// The errno of ioctl(2).
pub fn set(terminal: impl AsFd, settings: &Termios) -> SysResult<()> {
    rustix::termios::tcsetattr(terminal, OptionalActions::Drain, settings)
        .map_err(|errno| SysError::new("tcsetattr", format_args!("TCSADRAIN"), errno))
}

/// tcsetattr(TCSANOW): what was written goes out as it may. SIGTTOU must be held back.
///
/// # Errors
/// The errno of ioctl(2).
pub fn set_now(terminal: impl AsFd, settings: &Termios) -> SysResult<()> {
    rustix::termios::tcsetattr(terminal, OptionalActions::Now, settings)
        .map_err(|errno| SysError::new("tcsetattr", format_args!("TCSANOW"), errno))
}

/// Gives `to` the window size of `from`; the kernel tells its programs by SIGWINCH.
pub fn copy_size(from: impl AsFd, to: impl AsFd) {
    if let Ok(size) = rustix::termios::tcgetwinsize(from) {
        rustix::termios::tcsetwinsize(to, size).ok();
    }
}

/// A window of 0x0 (a serial line, a fresh pty) becomes 80x24, for every program on it; a side
/// that somebody has set stays.
pub fn ensure_size(terminal: impl AsFd) {
    let Ok(size) = rustix::termios::tcgetwinsize(&terminal) else {
        return;
    };
    if size.ws_row == 0 || size.ws_col == 0 {
        let or = |side: u16, usual| if side == 0 { usual } else { side };
        let size = Winsize {
            ws_row: or(size.ws_row, 24),
            ws_col: or(size.ws_col, 80),
            ..size
        };
        rustix::termios::tcsetwinsize(&terminal, size).ok();
    }
}

/// isatty(3).
#[must_use]
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}
