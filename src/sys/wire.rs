//! Messages between two processes of ours: a pair of sockets that keeps each message whole and
//! ends when the other side does.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use rustix::io::Errno;

use super::{SysError, SysResult};

/// The longest message.
const LIMIT: usize = 64 << 10;

/// One end.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl Wire {
    /// socketpair(AF_UNIX, SOCK_SEQPACKET).
    ///
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn pair() -> SysResult<(Self, Self)> {
        let kind = SockType::SeqPacket;
        let (a, b) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|errno| failed("socketpair", errno))?;
        Ok((Self(a), Self(b)))
    }

    /// Sends one message. The other side may be gone: EPIPE, and no signal.
    ///
    /// # Errors
    /// The errno of send(2).
    pub fn send(&self, message: &[u8]) -> SysResult<()> {
        send(self.0.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL)
            .map(|_| ())
            .map_err(|errno| failed("send", errno))
    }

    /// The next message; `None` when the other side is gone. Waits for one.
    ///
    /// # Errors
    /// The errno of recv(2).
    pub fn receive(&self) -> SysResult<Option<Vec<u8>>> {
        let mut buffer = vec![0; LIMIT];
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                // The other side ended and had not read everything: told once, and before the last
                // messages that it sent.
                Err(nix::errno::Errno::EINTR | nix::errno::Errno::ECONNRESET) => {}
                Err(errno) => return Err(failed("recv", errno)),
            }
        }
    }

    /// To poll.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// poll(2): which of the descriptors can be read, or are at their end. An interruption or the
/// end of the time gives none.
#[must_use]
pub fn wait_readable<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    let timeout = timeout.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
    });
    if poll(&mut polled, timeout).is_err() {
        return [false; N];
    }
    polled.map(|entry| entry.any().unwrap_or(false))
}

/// What a descriptor is waited for, or has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// It can be read, or is at its end.
    pub read: bool,
    /// It can be written, or nobody reads any more.
    pub write: bool,
}

/// poll(2) for both directions. A descriptor that is waited for in neither is left out: it would
/// tell its end again and again.
#[must_use]
pub fn wait_ready<const N: usize>(
    fds: [(BorrowedFd<'_>, Ready); N],
    timeout: Option<Duration>,
) -> [Ready; N] {
    let asked = fds.iter().filter(|(_, wanted)| *wanted != Ready::default());
    let mut polled: Vec<PollFd<'_>> = asked
        .map(|(fd, wanted)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, wanted.read);
            flags.set(PollFlags::POLLOUT, wanted.write);
            PollFd::new(*fd, flags)
        })
        .collect();
    let timeout = timeout.map_or(PollTimeout::NONE, |limit| {
        PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)
    });
    if poll(&mut polled, timeout).is_err() {
        return [Ready::default(); N];
    }
    let mut answers = polled.iter();
    fds.map(|(_, wanted)| {
        if wanted == Ready::default() {
            return wanted;
        }
        let found = answers
            .next()
            .and_then(PollFd::revents)
            .unwrap_or(PollFlags::empty());
        let ended = found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
        Ready {
            read: wanted.read && (ended || found.contains(PollFlags::POLLIN)),
            write: wanted.write && (ended || found.contains(PollFlags::POLLOUT)),
        }
    })
}

fn failed(call: &'static str, errno: nix::errno::Errno) -> SysError {
    SysError::new(
        call,
        format_args!(""),
        Errno::from_raw_os_error(errno as i32),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_heard_though_the_other_side_did_not_listen() {
        let (ours, theirs) = Wire::pair().unwrap();
        ours.send(b"unread").unwrap();
        theirs.send(b"one").unwrap();
        theirs.send(b"two").unwrap();
        drop(theirs);
        assert_eq!(ours.receive().unwrap(), Some(b"one".to_vec()));
        assert_eq!(ours.receive().unwrap(), Some(b"two".to_vec()));
        assert_eq!(ours.receive().unwrap(), None);
        assert_eq!(ours.receive().unwrap(), None);
    }
}
