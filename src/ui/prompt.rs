//! Questions: one line of input, typed words. No raw mode and no cursor escapes, so that a serial
//! line, a dumb terminal and a screen reader all get the same.
//!
//! dialoguer's `Input` takes the end of the input (Ctrl-D) for an empty line and asks again, so
//! lines are read here.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, QueueSelector};

use super::{Ui, escape};

/// Nobody types a longer line.
const LONGEST: usize = 4096;

/// What came of asking for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end and without blanks around it.
    Text(String),
    /// The end of the input: Ctrl-D, or the terminal is gone.
    End,
    /// The descriptor to mind became readable first: a signal came.
    Interrupted,
}

impl Ui {
    /// Whether there is somebody to ask: both standard input and standard error are terminals.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a line. `mind` is watched meanwhile: a signalfd(2), as a rule.
    ///
    /// # Errors
    /// The errno of poll(2) or read(2); a terminal that hung up is no error but the end.
    pub fn line(&self, prompt: &str, mind: Option<BorrowedFd<'_>>) -> io::Result<Line> {
        {
            let mut out = io::stderr().lock();
            out.write_all(escape(prompt).as_bytes())?;
            out.flush()?;
        }
        let own = self.mind.as_ref().map(AsFd::as_fd);
        let line = read_line(mind.or(own))?;
        if line == Line::End || line == Line::Interrupted {
            // What comes next begins on a line of its own.
            self.err_line("");
        }
        Ok(line)
    }

    /// A line that is not shown while it is typed, as it is: blanks may belong to a passphrase.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] when a signal came, [`io::ErrorKind::UnexpectedEof`] at the
    /// end of the input.
    pub(super) fn hidden_line(&self, prompt: &str) -> io::Result<String> {
        let stdin = rustix::stdio::stdin();
        let before = rustix::termios::tcgetattr(stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        io::stderr().lock().write_all(escape(prompt).as_bytes())?;
        rustix::termios::tcsetattr(stdin, OptionalActions::Flush, &hidden)?;
        let own = self.mind.as_ref().map(AsFd::as_fd);
        let line = read_bytes(own);
        rustix::termios::tcsetattr(stdin, OptionalActions::Flush, &before)?;
        self.err_line("");
        match line? {
            Bytes::Line(bytes) => String::from_utf8(bytes).map_err(io::Error::other),
            Bytes::End => Err(io::ErrorKind::UnexpectedEof.into()),
            Bytes::Interrupted => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Standard input up to its end: a key that is given to newroot. A little more than `most` at
    /// the most, so that the caller sees that it is too long.
    ///
    /// # Errors
    /// The errno of poll(2) or read(2); [`io::ErrorKind::Interrupted`] when a signal came first.
    pub fn input(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while bytes.len() <= most {
            if !wait_for_input(self.mind.as_ref().map(AsFd::as_fd))? {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
                Ok(0) => break,
                Ok(count) => bytes.extend(&buffer[..count]),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(bytes)
    }

    /// Asks a question whose yes changes something: only the typed word `yes` is one. What was
    /// typed before the question is thrown away. Anything that ends the input means no.
    ///
    /// # Errors
    /// As [`Ui::line`].
    pub fn yes(&self, question: &str, mind: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        loop {
            // EIO: the terminal is gone, and the next read says so.
            rustix::termios::tcflush(rustix::stdio::stdin(), QueueSelector::IFlush).ok();
            match self.line(&format!("{question} Type yes or no [no]: "), mind)? {
                Line::Text(text) => match text.to_ascii_lowercase().as_str() {
                    "yes" => return Ok(true),
                    "" | "no" | "n" | "q" => return Ok(false),
                    _ => self.err_line("Please type the whole word yes, or no."),
                },
                Line::End | Line::Interrupted => return Ok(false),
            }
        }
    }
}

fn read_line(mind: Option<BorrowedFd<'_>>) -> io::Result<Line> {
    Ok(match read_bytes(mind)? {
        Bytes::Line(bytes) => Line::Text(String::from_utf8_lossy(&bytes).trim().to_owned()),
        Bytes::End => Line::End,
        Bytes::Interrupted => Line::Interrupted,
    })
}

enum Bytes {
    /// Without the newline.
    Line(Vec<u8>),
    End,
    Interrupted,
}

/// read(2) gives a line at a time: the terminal is in canonical mode.
fn read_bytes(mind: Option<BorrowedFd<'_>>) -> io::Result<Bytes> {
    let stdin = rustix::stdio::stdin();
    let mut line = Vec::new();
    let mut buffer = [0; 256];
    loop {
        if !wait_for_input(mind)? {
            return Ok(Bytes::Interrupted);
        }
        match rustix::io::read(stdin, &mut buffer) {
            Ok(0) | Err(Errno::IO) if line.is_empty() => return Ok(Bytes::End),
            Ok(0) | Err(Errno::IO) => break,
            Ok(count) => line.extend(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        if line.contains(&b'\n') || line.len() > LONGEST {
            break;
        }
    }
    let end = line.iter().position(|byte| *byte == b'\n');
    line.truncate(end.unwrap_or(line.len()));
    Ok(Bytes::Line(line))
}

/// Waits until there is something to read. False: the descriptor to mind became readable first.
fn wait_for_input(mind: Option<BorrowedFd<'_>>) -> io::Result<bool> {
    let stdin = rustix::stdio::stdin();
    loop {
        let mut fds = vec![PollFd::new(&stdin, PollFlags::IN)];
        fds.extend(mind.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) => return Ok(fds.get(1).is_none_or(|fd| fd.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Whether this is a serial line: what is drawn there is slow, and often goes to a log.
pub(super) fn is_serial() -> bool {
    let Ok(name) = rustix::termios::ttyname(rustix::stdio::stderr(), Vec::new()) else {
        return false;
    };
    is_serial_name(&name.to_string_lossy())
}

fn is_serial_name(name: &str) -> bool {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    ["hvc", "hvsi", "sclp_line", "ttysclp", "3270/tty"]
        .iter()
        .any(|start| name.starts_with(start))
        // ttyS0, ttyAMA0, ttyUSB0; not tty1.
        || name
            .strip_prefix("tty")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_lines_are_known_by_name() {
        for (name, serial) in [
            ("/dev/ttyS0", true),
            ("/dev/ttyAMA0", true),
            ("/dev/hvc0", true),
            ("/dev/tty1", false),
            ("/dev/pts/3", false),
            ("/dev/console", false),
        ] {
            assert_eq!(is_serial_name(name), serial, "{name}");
        }
    }
}
