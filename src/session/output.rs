//! What a program writes after its terminal went away: `SESSION.output.log` beside the records,
//! with the last of what was on the screen before. It stays when the session ends, and goes with
//! the boot.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::{Place, SessionError};
use crate::sys;

/// How the files are called, behind the session's name.
pub(super) const ENDING: &str = ".output.log";
/// So much of what was on the screen is kept: some pages.
const TAIL: usize = 64 << 10;
/// When a file grows to this, it begins anew: /run is memory, and the end is what counts.
const MOST: usize = 16 << 20;

/// The output of one program.
#[derive(Debug)]
pub struct Output {
    place: Place,
    name: String,
    tail: Vec<u8>,
    file: Option<(OwnedFd, usize)>,
}

impl Output {
    pub(super) fn new(place: &Place, id: &str) -> Self {
        Self {
            place: place.clone(),
            name: format!("{id}{ENDING}"),
            tail: Vec::new(),
            file: None,
        }
    }

    /// Where it is, once [`Output::begin`] was called.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.path().as_path().join(&self.name)
    }

    /// The program wrote this.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        // Seldom, so that the bytes are not moved for every line.
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        let Some((file, length)) = &mut self.file else {
            return;
        };
        *length += bytes.len();
        let written = if *length > MOST {
            *length = self.tail.len();
            sys::file::set_length(&*file, 0).and_then(|()| sys::file::write_all(&*file, &self.tail))
        } else {
            sys::file::write_all(&*file, bytes)
        };
        // A full /run must not stop the program.
        if let Err(error) = written {
            tracing::debug!(%error, "the output cannot be written");
        }
    }

    /// Nobody sees it any more: from here on everything is written down. `/run` may hold an older
    /// file of this session: it goes on there.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub fn begin(&mut self) -> Result<(), SessionError> {
        if self.file.is_some() {
            return Ok(());
        }
        let file = self.place.open_to_append(&self.name)?;
        self.file = Some((file, 0));
        let tail = std::mem::take(&mut self.tail);
        self.keep(&tail);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostPath;

    fn output(directory: &tempfile::TempDir) -> Output {
        let place = Place::at(HostPath::new(directory.path().join("newroot"))).unwrap();
        Output::new(&place, "web03-1a2b")
    }

    #[test]
    fn nothing_is_written_before_it_begins() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = output(&directory);
        output.keep(b"seen ");
        std::fs::metadata(output.path()).unwrap_err();
        output.begin().unwrap();
        output.keep(b"unseen");
        assert_eq!(std::fs::read(output.path()).unwrap(), b"seen unseen");
    }

    #[test]
    fn it_is_bounded_and_keeps_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = output(&directory);
        output.begin().unwrap();
        for _ in 0..300 {
            output.keep(&[b'x'; TAIL]);
        }
        output.keep(b"the end");
        let text = std::fs::read(output.path()).unwrap();
        assert!(
            text.len() <= MOST && text.ends_with(b"xthe end"),
            "{}",
            text.len()
        );
        assert!(output.tail.len() <= 3 * TAIL);
    }
}
