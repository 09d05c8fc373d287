//! A process that stays the same process: a number alone is used again.

use serde::{Deserialize, Serialize};

use super::SessionError;
use crate::model::RootPath;
use crate::root::{Host, read};

/// A process of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number, in the PID namespace of whoever wrote it down.
    pub pid: i32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub started: u64,
}

impl Process {
    /// Reads when `pid` started.
    ///
    /// # Errors
    /// [`SessionError::Proc`] when there is no such process.
    pub fn of(pid: i32) -> Result<Self, SessionError> {
        let path = format!("/proc/{pid}/stat");
        let text = read_proc(&path)?;
        let started = start_time(&text).ok_or_else(|| SessionError::Proc {
            path,
            why: String::from("no field 22"),
        })?;
        Ok(Self { pid, started })
    }

    /// This very process.
    ///
    /// # Errors
    /// [`SessionError::Proc`] when /proc is not there.
    pub fn this() -> Result<Self, SessionError> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid)
    }

    /// This very process with the number that /proc gives it: that of whoever mounted /proc, and
    /// not of a PID namespace that this process was made in later.
    ///
    /// # Errors
    /// [`SessionError::Proc`] when /proc is not there.
    pub fn this_in_proc() -> Result<Self, SessionError> {
        let path = String::from("/proc/self/stat");
        let text = read_proc(&path)?;
        let number = text.split(' ').next().and_then(|field| field.parse().ok());
        number
            .zip(start_time(&text))
            .map(|(pid, started)| Self { pid, started })
            .ok_or_else(|| SessionError::Proc {
                path,
                why: String::from("no number, or no field 22"),
            })
    }

    /// Whether this process, and not a later one of that number, still exists (a zombie does).
    #[must_use]
    pub fn exists(&self) -> bool {
        Self::of(self.pid).is_ok_and(|now| now == *self)
    }
}

/// Which boot this is: a record of another one is void.
///
/// # Errors
/// [`SessionError::Proc`] when /proc is not there.
pub fn boot_id() -> Result<String, SessionError> {
    read_proc("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned())
}

fn read_proc(path: &str) -> Result<String, SessionError> {
    let bytes = read(&Host, &RootPath::new(path), 1 << 16).map_err(|error| SessionError::Proc {
        path: path.to_owned(),
        why: crate::sys::describe(crate::sys::errno_of(&error)),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Field 22; the name in field 2 may hold blanks and parentheses, so counting starts after the
/// last one.
fn start_time(stat: &str) -> Option<u64> {
    let rest = &stat[stat.rfind(')')? + 1..];
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time("7 (a) S"), None);
        assert_eq!(start_time(""), None);
    }

    #[test]
    fn this_process_exists_and_another_of_its_number_does_not() {
        let this = Process::this().unwrap();
        assert!(this.exists());
        let earlier = Process {
            started: this.started + 1,
            ..this
        };
        assert!(!earlier.exists());
        assert_eq!(Process::this_in_proc().unwrap(), this);
    }
}
