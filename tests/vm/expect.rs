//! A conversation over a serial line: send, wait for a text until a deadline, keep every byte.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What no case survives: there is no use in waiting on.
const FATAL: &[&str] = &["Kernel panic - not syncing", "end Kernel panic"];

/// How many lines of the transcript an error shows.
const TAIL: usize = 40;

/// One end of the line.
#[derive(Debug)]
pub(crate) struct Console {
    line: UnixStream,
    transcript: File,
    seen: Vec<u8>,
    /// Up to here a `wait` has taken it.
    taken: usize,
}

impl Console {
    /// Talks over `line`; everything that comes is kept in `transcript` too.
    pub(crate) fn new(line: UnixStream, transcript: &Path) -> Result<Console> {
        let transcript =
            File::create(transcript).with_context(|| format!("create {}", transcript.display()))?;
        Ok(Console {
            line,
            transcript,
            seen: Vec::new(),
            taken: 0,
        })
    }

    /// Sends text as it is; `"\x03"` is Ctrl-C.
    pub(crate) fn send(&mut self, text: &str) -> Result<()> {
        self.line
            .write_all(text.as_bytes())
            .context("write to the serial line")
    }

    /// Waits until `text` comes; gives what came before it (line ends as `\n`).
    pub(crate) fn wait(&mut self, text: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        let mut from = self.taken;
        loop {
            if let Some(at) = find(&self.seen, text.as_bytes(), from) {
                let before = String::from_utf8_lossy(&self.seen[self.taken..at]).replace('\r', "");
                self.taken = at + text.len();
                return Ok(before);
            }
            if let Some(fatal) = FATAL.iter().find(|fatal| self.has(fatal)) {
                bail!("{fatal:?} while waiting for {text:?}\n{}", self.tail());
            }
            // The next byte may complete a text whose start is here already.
            from = self.seen.len().saturating_sub(text.len()).max(self.taken);
            let Some(left) = end
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            else {
                bail!(
                    "{text:?} did not come within {} s\n{}",
                    limit.as_secs(),
                    self.tail()
                );
            };
            if !self.read(left)? {
                bail!(
                    "the machine went off while waiting for {text:?}\n{}",
                    self.tail()
                );
            }
        }
    }

    /// Waits until the other side is gone: the machine is off.
    pub(crate) fn wait_closed(&mut self, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        while let Some(left) = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            if !self.read(left)? {
                return Ok(());
            }
        }
        bail!(
            "the machine did not go off within {} s\n{}",
            limit.as_secs(),
            self.tail()
        );
    }

    /// Takes what is there within the time; false at the end of the line.
    fn read(&mut self, limit: Duration) -> Result<bool> {
        let mut buffer = [0; 4096];
        self.line
            .set_read_timeout(Some(limit))
            .context("set the time limit")?;
        match self.line.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                let fresh = &buffer[..count];
                self.seen.extend_from_slice(fresh);
                self.transcript
                    .write_all(fresh)
                    .context("write the transcript")?;
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(true),
                ErrorKind::ConnectionReset => Ok(false),
                _ => Err(error).context("read from the serial line"),
            },
        }
    }

    fn has(&self, text: &str) -> bool {
        find(&self.seen, text.as_bytes(), self.taken).is_some()
    }

    /// The last lines, marked, for an error.
    pub(crate) fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.seen).replace('\r', "");
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.len().saturating_sub(TAIL);
        lines[first..]
            .iter()
            .map(|line| format!("  | {line}\n"))
            .collect()
    }
}

fn find(hay: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let found = hay
        .get(from..)?
        .windows(needle.len())
        .position(|window| window == needle);
    found.map(|at| from + at)
}
