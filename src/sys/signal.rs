//! Signals: held back and read from a descriptor, sent, and given back to a program as it would
//! have had them.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::io::Errno;

use super::{SysError, SysResult};

/// The numbers that are named here and there.
pub const CHLD: i32 = libc::SIGCHLD;
/// Continue.
pub const CONT: i32 = libc::SIGCONT;
/// The terminal is gone.
pub const HUP: i32 = libc::SIGHUP;
/// Ctrl-C.
pub const INT: i32 = libc::SIGINT;
/// Unconditional end.
pub const KILL: i32 = libc::SIGKILL;
/// Ctrl-\.
pub const QUIT: i32 = libc::SIGQUIT;
/// The polite end.
pub const TERM: i32 = libc::SIGTERM;
/// Ctrl-Z.
pub const TSTP: i32 = libc::SIGTSTP;
/// A background group read from the terminal.
pub const TTIN: i32 = libc::SIGTTIN;
/// A background group changed the terminal.
pub const TTOU: i32 = libc::SIGTTOU;
/// For the program's own use.
pub const USR1: i32 = libc::SIGUSR1;
/// For the program's own use.
pub const USR2: i32 = libc::SIGUSR2;
/// The window has another size.
pub const WINCH: i32 = libc::SIGWINCH;

/// The mask that this process was started with: what a program has to get, however often
/// signals were held back since.
static AT_START: OnceLock<SigSet> = OnceLock::new();

/// Signals that are held back and come as reads instead.
#[derive(Debug)]
pub struct Held {
    source: SignalFd,
    set: SigSet,
    before: SigSet,
}

impl Held {
    /// sigprocmask(2) and signalfd(2) for these signals.
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn new(signals: &[i32]) -> SysResult<Self> {
        let mut set = SigSet::empty();
        for number in signals {
            if let Ok(signal) = Signal::try_from(*number) {
                set.add(signal);
            }
        }
        let mut before = SigSet::empty();
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before))
            .map_err(|errno| failed("sigprocmask", errno))?;
        AT_START.get_or_init(|| before);
        let source = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|errno| failed("signalfd", errno))?;
        Ok(Self {
            source,
            set,
            before,
        })
    }

    /// The next signal that came, if any.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        let info = self.source.read_signal().ok().flatten()?;
        i32::try_from(info.ssi_signo).ok()
    }

    /// To poll.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// Holds back these again, and no others that somebody held back since.
    ///
    /// # Errors
    /// None that a kernel is known to give.
    pub fn hold_again(&self) -> SysResult<()> {
        let mut set = self.before;
        set.extend(&self.set);
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)
            .map_err(|errno| failed("sigprocmask", errno))
    }

    /// The mask from before.
    ///
    /// # Errors
    /// None that a kernel is known to give.
    pub fn release(&self) -> SysResult<()> {
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None)
            .map_err(|errno| failed("sigprocmask", errno))
    }

    /// The mask that this process was started with, for a program that is executed.
    ///
    /// # Errors
    /// None that a kernel is known to give.
    pub fn release_for_program(&self) -> SysResult<()> {
        let mask = AT_START.get().unwrap_or(&self.before);
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)
            .map_err(|errno| failed("sigprocmask", errno))
    }
}

/// Runs `deed` while one more signal is let through, and holds it back again.
///
/// # Errors
/// None that a kernel is known to give.
pub fn while_open(number: i32, deed: impl FnOnce()) -> SysResult<()> {
    let signal = Signal::try_from(number).map_err(|errno| failed("sigprocmask", errno))?;
    let set = SigSet::from(signal);
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)
        .map_err(|errno| failed("sigprocmask", errno))?;
    deed();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)
        .map_err(|errno| failed("sigprocmask", errno))
}

/// Whether the signal is ignored (nohup(1) does that for SIGHUP).
#[must_use]
#[expect(unsafe_code, reason = "sigaction with a null new action")]
pub fn is_ignored(number: i32) -> bool {
    // SAFETY: a zeroed sigaction is a valid value that the call overwrites; the null pointer
    // means that nothing is changed.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(number, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// signal(SIGPIPE, SIG_DFL): the standard library ignores it, and a program would inherit that.
#[expect(unsafe_code, reason = "signal")]
pub fn restore_broken_pipe() {
    // SAFETY: the default action runs no code of ours.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigDfl) }.ok();
}

/// signal(SIG_IGN): a program that is executed keeps ignoring it, as after nohup(1).
#[expect(unsafe_code, reason = "signal")]
pub fn ignore(number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        // SAFETY: ignoring runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }.ok();
    }
}

/// kill(2): a process; a group when negative; everything that may be reached for -1; the own
/// group for 0.
///
/// # Errors
/// ESRCH when there is none.
pub fn send(pid: i32, number: i32) -> SysResult<()> {
    let signal = Signal::try_from(number).map_err(|errno| failed("kill", errno))?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).map_err(|errno| {
        SysError::new(
            "kill",
            format_args!("{pid}, {signal}"),
            Errno::from_raw_os_error(errno as i32),
        )
    })
}

/// "SIGTERM"; "signal 64" for those without a name.
#[must_use]
pub fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(
        |_| format!("signal {number}"),
        |signal| signal.as_str().to_owned(),
    )
}

fn failed(call: &'static str, errno: nix::errno::Errno) -> SysError {
    SysError::new(
        call,
        format_args!(""),
        Errno::from_raw_os_error(errno as i32),
    )
}
