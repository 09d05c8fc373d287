//! Pseudoterminals: a terminal whose other end is a descriptor of ours.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pty::OpenptFlags;

use super::{SysError, SysResult};

/// Both ends.
#[derive(Debug)]
pub struct Pty {
    /// What is written here is typed; what is read here was printed. Reads and writes do not wait.
    pub ours: OwnedFd,
    /// The terminal.
    pub terminal: OwnedFd,
}

impl Pty {
    /// posix_openpt(3), unlockpt(3), and the other end by TIOCGPTPEER: by a name it could be that
    /// of another devpts.
    ///
    /// # Errors
    /// ENOENT: no /dev/ptmx. ENOSPC: there are as many as there may be.
    pub fn open() -> SysResult<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags).map_err(|errno| failed("posix_openpt", errno))?;
        rustix::pty::unlockpt(&ours).map_err(|errno| failed("unlockpt", errno))?;
        let terminal = rustix::pty::ioctl_tiocgptpeer(&ours, flags)
            .map_err(|errno| failed("ioctl(TIOCGPTPEER)", errno))?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|errno| failed("ioctl(FIONBIO)", errno))?;
        Ok(Self { ours, terminal })
    }
}

/// setsid(2) and TIOCSCTTY: `terminal` becomes the controlling terminal of the caller and of what
/// it starts, and takes the place of whichever terminals are its standard descriptors.
///
/// # Errors
/// EPERM for the leader of a group.
pub fn take(terminal: impl AsFd) -> SysResult<()> {
    rustix::process::setsid().map_err(|errno| failed("setsid", errno))?;
    rustix::process::ioctl_tiocsctty(&terminal)
        .map_err(|errno| failed("ioctl(TIOCSCTTY)", errno))?;
    let place = |standard: bool, dup: &dyn Fn() -> rustix::io::Result<()>| {
        if standard {
            dup().map_err(|errno| failed("dup2", errno))
        } else {
            Ok(())
        }
    };
    let is = super::tty::is_terminal;
    place(is(rustix::stdio::stdin()), &|| {
        rustix::stdio::dup2_stdin(&terminal)
    })?;
    place(is(rustix::stdio::stdout()), &|| {
        rustix::stdio::dup2_stdout(&terminal)
    })?;
    place(is(rustix::stdio::stderr()), &|| {
        rustix::stdio::dup2_stderr(&terminal)
    })
}

fn failed(call: &'static str, errno: Errno) -> SysError {
    SysError::new(call, format_args!(""), errno)
}
