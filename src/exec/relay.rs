//! The relay: a program on a terminal of its own, joined to the user's by the supervisor.
//!
//! The user's terminal may go away (a connection that is lost): the program's does not, and what it
//! writes from then on is kept in a file. And a terminal whose foreground group lies outside of the
//! PID namespace gives a shell no job control: one of its own does.
//!
//! As long as it lasts the user's terminal is raw: every key goes on, and the program's terminal
//! makes of it what that program wants (Ctrl-C, Ctrl-Z, echo).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::termios::{SpecialCodeIndex, Termios};

use crate::session::Output;
use crate::sys::pty::Pty;
use crate::sys::wire::{Ready, wait_ready};
use crate::sys::{SysResult, tty};

/// What waits for the other side; nothing is read for it beyond that.
const MOST: usize = 64 << 10;
/// How often is looked whether the job is in the foreground again, and how often a program that
/// may wait for input hears that there is none.
const TURN: Duration = Duration::from_millis(500);
/// How long the last output may take on its way to the user's terminal.
const ENDING: Duration = Duration::from_secs(2);

/// One program's terminal and the user's.
#[derive(Debug)]
pub(super) struct Relay {
    pty: OwnedFd,
    /// `None` when it went away.
    user: Option<OwnedFd>,
    /// The settings that the user's had before; `None` while it has them.
    before: Option<Termios>,
    to_user: Vec<u8>,
    to_program: Vec<u8>,
    /// Nobody has the program's terminal open any more.
    ended: bool,
    output: Option<Output>,
    nudged: Instant,
}

impl Relay {
    /// A terminal with the settings and the size of the user's; the other end is for the program.
    /// `output` keeps what comes when the user's went away.
    ///
    /// # Errors
    /// Those of [`Pty::open`].
    pub(super) fn new(output: Option<Output>) -> SysResult<Option<(Self, OwnedFd)>> {
        // Opened anew: that it does not wait is nobody else's business.
        let Some(user) = tty::controlling() else {
            return Ok(None);
        };
        rustix::io::ioctl_fionbio(&user, true).ok();
        let Pty { ours, terminal } = Pty::open()?;
        if let Some(settings) = tty::settings(&user) {
            tty::set_now(&terminal, &settings)?;
        }
        tty::copy_size(&user, &ours);
        let relay = Self {
            pty: ours,
            user: Some(user),
            before: None,
            to_user: Vec::new(),
            to_program: Vec::new(),
            ended: false,
            output,
            nudged: Instant::now(),
        };
        Ok(Some((relay, terminal)))
    }

    /// Whether the job can be stopped, and its terminal go to the shell that it came from: not when
    /// the terminal is gone, and where the groups are outside of the PID namespace nobody here
    /// could tell whether it came back.
    pub(super) fn can_stop(&self) -> bool {
        let inside = |user: &OwnedFd| !tty::is_held_outside(user);
        self.user.as_ref().is_some_and(inside)
    }

    /// Makes the user's terminal raw, if this job has it.
    pub(super) fn take(&mut self) {
        let Some(user) = self.user.as_ref().filter(|_| self.before.is_none()) else {
            return;
        };
        // One that is held outside can only be held by the group that this process came in.
        if !tty::is_held_outside(user) && !tty::is_foreground(user) {
            return;
        }
        let Some(before) = tty::settings(user) else {
            return;
        };
        let mut raw = before.clone();
        raw.make_raw();
        if tty::set_now(user, &raw).is_ok() {
            self.before = Some(before);
            tty::copy_size(user, &self.pty);
        }
    }

    /// The user's shell finds its terminal as it was.
    pub(super) fn give_back(&mut self) {
        self.flush();
        if let (Some(before), Some(user)) = (self.before.take(), &self.user) {
            tty::set_now(user, &before).ok();
        }
    }

    /// The window has another size.
    pub(super) fn resize(&self) {
        if let Some(user) = &self.user {
            tty::copy_size(user, &self.pty);
        }
    }

    /// Waits for one of `others`, for not longer than `limit`, and moves what came meanwhile.
    pub(super) fn wait(
        &mut self,
        others: [BorrowedFd<'_>; 2],
        limit: Option<Duration>,
    ) -> ([bool; 2], Option<PathBuf>) {
        let watched = self.user.is_some() && self.before.is_some();
        let limit = match limit {
            limit if watched => limit,
            limit => Some(limit.unwrap_or(TURN).min(TURN)),
        };
        let read = Ready {
            read: true,
            write: false,
        };
        let [first, second] = others;
        let pty = self.pty.as_fd();
        let user = self.user.as_ref().map_or(pty, AsFd::as_fd);
        let asked = [
            (first, read),
            (second, read),
            (pty, self.wants_of_pty()),
            (user, self.wants_of_user()),
        ];
        let [first, second, pty, user] = wait_ready(asked, limit);
        let gone = self.turn(pty, user);
        if self.user.is_none() {
            self.nudge();
        } else if !watched {
            self.take();
        }
        ([first.read, second.read], gone)
    }

    /// The program has ended: what it wrote last still goes its way, and the terminal is given
    /// back.
    pub(super) fn finish(mut self) {
        let until = Instant::now() + ENDING;
        while !(self.ended && self.to_user.is_empty()) && Instant::now() < until {
            let pty = self.pty.as_fd();
            let user = self.user.as_ref().map_or(pty, AsFd::as_fd);
            let asked = [(pty, self.wants_of_pty()), (user, self.wants_of_user())];
            let [pty, user] = wait_ready(asked, Some(TURN));
            if pty == Ready::default() && user == Ready::default() {
                // Somebody else has the program's terminal open and is quiet.
                break;
            }
            self.turn(pty, user);
        }
        self.give_back();
    }

    fn wants_of_pty(&self) -> Ready {
        Ready {
            read: !self.ended && self.to_user.len() < MOST,
            write: !self.ended && !self.to_program.is_empty(),
        }
    }

    fn wants_of_user(&self) -> Ready {
        let there = self.user.is_some();
        Ready {
            // In the background its input is somebody else's.
            read: there && self.before.is_some() && self.to_program.len() < MOST,
            write: there && !self.to_user.is_empty(),
        }
    }

    /// Moves what is ready. Where the output goes, if the user's terminal has just gone.
    fn turn(&mut self, pty: Ready, user: Ready) -> Option<PathBuf> {
        if pty.read {
            self.read_program();
        }
        if pty.write {
            // Its end shows when it is read.
            write_some(&self.pty, &mut self.to_program).ok();
        }
        let mut gone = false;
        if user.read {
            gone |= self.read_user().is_err();
        }
        if let Some(terminal) = self.user.as_ref().filter(|_| user.write) {
            gone |= write_some(terminal, &mut self.to_user).is_err();
        }
        gone.then(|| self.lose_user()).flatten()
    }

    fn read_program(&mut self) {
        let mut buffer = [0; 8192];
        match rustix::io::read(&self.pty, &mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                let bytes = &buffer[..count];
                if let Some(output) = &mut self.output {
                    output.keep(bytes);
                }
                if self.user.is_some() {
                    self.to_user.extend_from_slice(bytes);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // EIO: the last that had it open has closed it.
            Err(_) => self.ended = true,
        }
    }

    fn read_user(&mut self) -> Result<(), Errno> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let mut buffer = [0; 4096];
        match rustix::io::read(user, &mut buffer) {
            Ok(0) => Err(Errno::IO),
            Ok(count) => {
                self.to_program.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn lose_user(&mut self) -> Option<PathBuf> {
        self.user = None;
        self.before = None;
        self.to_user.clear();
        let output = self.output.as_mut()?;
        match output.begin() {
            Ok(()) => Some(output.path()),
            Err(error) => {
                tracing::warn!(%error, "what the program writes is lost");
                None
            }
        }
    }

    /// There is nobody who types: a program that waits for input reads the end of it, as it would
    /// on a terminal that went away. One that asks again is told again.
    fn nudge(&mut self) {
        if self.nudged.elapsed() < TURN {
            return;
        }
        self.nudged = Instant::now();
        if let Some(settings) = tty::settings(&self.pty) {
            let end = settings.special_codes[SpecialCodeIndex::VEOF];
            rustix::io::write(&self.pty, &[end]).ok();
        }
    }

    /// Moves what can be moved without waiting.
    fn flush(&mut self) {
        for _ in 0..MOST {
            let pty = self.pty.as_fd();
            let user = self.user.as_ref().map_or(pty, AsFd::as_fd);
            let read = Ready {
                write: false,
                ..self.wants_of_pty()
            };
            let write = Ready {
                read: false,
                ..self.wants_of_user()
            };
            let [pty, user] = wait_ready([(pty, read), (user, write)], Some(Duration::ZERO));
            if !pty.read && !user.write {
                return;
            }
            self.turn(pty, user);
        }
    }
}

/// Writes what can be written at once, and leaves the rest.
fn write_some(to: &OwnedFd, bytes: &mut Vec<u8>) -> Result<(), Errno> {
    match rustix::io::write(to, bytes) {
        Ok(count) => {
            bytes.drain(..count);
            Ok(())
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}
