//! Worker processes: parallel work without threads (design rule 9).
//!
//! A worker is a fork that does one thing, answers through a pipe and exits. It holds no lock,
//! runs no destructor of its parent, and dies with it.

#![expect(unsafe_code, reason = "fork(2) and _exit(2)")]

use std::os::fd::OwnedFd;

use rustix::process::{Pid, Signal, WaitOptions};

use super::{SysError, SysResult};

/// A running worker. End it with [`Worker::wait`] or [`Worker::kill`].
#[must_use = "a worker that nobody waits for stays behind as a zombie"]
#[derive(Debug)]
pub struct Worker {
    pid: Pid,
}

/// fork(2): `work` runs in a new process, which then exits without running anything else.
///
/// # Errors
/// EAGAIN, ENOMEM.
pub fn start(work: impl FnOnce()) -> SysResult<Worker> {
    let parent = rustix::process::getpid();
    // SAFETY: this program has one thread (design rule 9), so the child may go on using the
    // allocator and everything else it finds; it leaves by _exit below and never returns.
    let forked = unsafe { nix::unistd::fork() };
    match forked {
        Ok(nix::unistd::ForkResult::Parent { child }) => Pid::from_raw(child.as_raw())
            .map(|pid| Worker { pid })
            .ok_or_else(|| SysError::new("fork", format_args!(""), rustix::io::Errno::AGAIN)),
        Ok(nix::unistd::ForkResult::Child) => {
            let dies = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
            // The parent may be gone before the signal was asked for.
            if dies.is_ok() && rustix::process::getppid() == Some(parent) {
                work();
            }
            // SAFETY: ends this process at once; no destructor or exit handler of the parent's
            // state may run twice.
            unsafe { libc::_exit(0) }
        }
        Err(errno) => Err(SysError::new(
            "fork",
            format_args!(""),
            rustix::io::Errno::from_raw_os_error(errno as i32),
        )),
    }
}

impl Worker {
    /// waitpid(2): waits for the end. `false` when a signal ended it.
    ///
    /// # Errors
    /// ECHILD when somebody else has waited for it.
    pub fn wait(self) -> SysResult<bool> {
        let raw = self.pid.as_raw_nonzero();
        loop {
            match rustix::process::waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => return Ok(!status.signaled()),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(SysError::new("waitpid", format_args!("{raw}"), errno)),
            }
        }
    }

    /// SIGKILL, and waits.
    ///
    /// # Errors
    /// As [`Worker::wait`].
    pub fn kill(self) -> SysResult<()> {
        // ESRCH is impossible before the wait: an ended child keeps its pid until then.
        rustix::process::kill_process(self.pid, Signal::KILL).map_err(|errno| {
            SysError::new(
                "kill",
                format_args!("{}, SIGKILL", self.pid.as_raw_nonzero()),
                errno,
            )
        })?;
        self.wait().map(|_| ())
    }
}

/// pipe2(2) with O_CLOEXEC: the reading end, the writing end.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> SysResult<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| SysError::new("pipe2", format_args!("O_CLOEXEC"), errno))
}
