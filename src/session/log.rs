//! What a session did, for whoever reads it afterwards: `NAME.log` beside the records. It stays
//! when the session ends, and goes with the boot.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Place, SessionError};
use crate::sys;

/// The longest name without its ending.
const LONGEST: usize = 40;

/// A log, open for appending.
#[derive(Debug)]
pub struct Log {
    file: OwnedFd,
    path: PathBuf,
}

impl Log {
    /// Opens the log of a target, mode 600; what is in it stays.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub fn open(place: &Place, target: &str) -> Result<Self, SessionError> {
        let name = format!("{}.log", plain(target));
        let file = place.open_to_append(&name)?;
        Ok(Self {
            file,
            path: place.path().as_path().join(name),
        })
    }

    /// Where it is, for showing.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines, each with the time of day in UTC. A log that cannot be written (a full
    /// /run) stops nothing.
    pub fn say(&self, text: &str) {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        for line in text.lines() {
            let seconds = seconds % 60;
            let line = format!("{hours:02}:{minutes:02}:{seconds:02}Z {line}\n");
            if let Err(error) = sys::file::write_all(&self.file, line.as_bytes()) {
                tracing::debug!(%error, "the log cannot be written");
            }
        }
    }
}

/// A hostname comes from a disk: only what a file name may safely hold.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_-.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(LONGEST)
        .collect();
    let plain = plain.trim_start_matches('.');
    if plain.is_empty() {
        String::from("target")
    } else {
        plain.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostPath;

    #[test]
    fn a_name_from_a_disk_is_a_file_name_at_most() {
        for (name, expected) in [
            ("web03", "web03"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "target"),
            ("a\x1b[2J\nb", "a__2J_b"),
            ("", "target"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn lines_are_appended_to_a_private_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let place = Place::at(HostPath::new(directory.path().join("newroot"))).unwrap();
        for text in ["first\nsecond", "third"] {
            Log::open(&place, "web03").unwrap().say(text);
        }
        let path = Log::open(&place, "web03").unwrap().path().to_path_buf();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("Z "))
            .map(|(_, text)| text)
            .collect();
        assert_eq!(lines, ["first", "second", "third"]);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
