//! The terminal, lent to a program and taken back.
//!
//! The program's own group gets it, so that Ctrl-C and Ctrl-Z are the program's. newroot's group
//! may hold others of the same job (`newroot enter … | less`); then the terminal stays with the
//! job, and the program gets it only when it asks (SIGTTIN, SIGTTOU).

use std::os::fd::OwnedFd;

use rustix::termios::Termios;

use crate::sys::signal::{TTIN, TTOU};
use crate::sys::{self, tty};

/// The controlling terminal of the supervisor. SIGTTOU is held back as long as this lives.
#[derive(Debug)]
pub(super) struct Terminal {
    device: Option<OwnedFd>,
    /// The settings that the caller's shell had.
    ours: Option<Termios>,
    /// Those of the program, while it is stopped.
    theirs: Option<Termios>,
    lent: bool,
    /// The program's input and output are terminals: the job is the program alone.
    alone: bool,
}

impl Terminal {
    pub(super) fn open() -> Self {
        let device = tty::controlling();
        if let Some(device) = &device {
            tty::ensure_size(device);
        }
        Self {
            ours: device.as_ref().and_then(tty::settings),
            theirs: None,
            lent: false,
            alone: tty::is_terminal(rustix::stdio::stdin())
                && tty::is_terminal(rustix::stdio::stdout()),
            device,
        }
    }

    pub(super) fn device(&self) -> Option<&OwnedFd> {
        self.device.as_ref()
    }

    /// Whether the program gets a terminal of its own: where it shall `survive` this one, and where
    /// this one is held outside of the PID namespace. Only as the whole job: what is in a pipe
    /// with newroot needs the terminal as it is.
    pub(super) fn needs_relay(&self, survive: bool) -> bool {
        let outside = |device: &OwnedFd| tty::is_held_outside(device);
        self.alone
            && self
                .device
                .as_ref()
                .is_some_and(|device| survive || outside(device))
    }

    fn is_ours(&self) -> bool {
        self.device.as_ref().is_some_and(tty::is_foreground)
    }

    /// Whether the program gets the terminal when it starts.
    pub(super) fn lend(&mut self) -> bool {
        self.lent = self.alone && self.is_ours();
        self.lent
    }

    /// Whether it gets it when it goes on after `signal` stopped it.
    pub(super) fn lend_again(&mut self, signal: i32) -> bool {
        let asked = [TTIN, TTOU].contains(&signal);
        self.lent = (self.alone || asked || self.theirs.is_some()) && self.is_ours();
        if let (true, Some(device), Some(theirs)) = (self.lent, &self.device, self.theirs.take()) {
            tty::set(device, &theirs).ok();
        }
        self.lent
    }

    /// Whether the program has it now.
    pub(super) fn is_lent(&self) -> bool {
        self.lent
    }

    /// The program stopped or ended: the caller's shell finds the terminal as it was.
    pub(super) fn take_back(&mut self) {
        if !std::mem::take(&mut self.lent) {
            return;
        }
        let Some(device) = &self.device else {
            return;
        };
        self.theirs = tty::settings(device);
        if let Err(error) = tty::give_to(device, None) {
            tracing::warn!(%error, "the terminal cannot be taken back");
        }
        if let Some(ours) = &self.ours {
            tty::set(device, ours).ok();
        }
    }

    /// Stops the whole job, as Ctrl-Z does for a program that is not behind newroot. Comes back
    /// when it is continued; at once where nobody could continue it (an orphaned group).
    pub(super) fn stop_job(signal: i32) {
        let stop = || {
            sys::signal::send(0, signal).ok();
        };
        if let Err(error) = sys::signal::while_open(signal, stop) {
            tracing::warn!(%error, "cannot stop");
        }
    }
}
