//! Failures as the user meets them: what failed, why, the facts, the next command to type,
//! and the exit status.
//!
//! Layers below have their own typed errors (thiserror). `cmd` turns those into a [`Failure`]
//! where it knows more than the error does; anything else travels as `anyhow::Error`.
//! Nothing here prints.

use std::fmt;
use std::process::ExitCode;

/// The documented exit statuses (design section 4, newroot(8) EXIT STATUS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Success,
    /// The answer is "no": something missing, different, or wrong with what was looked at.
    Findings,
    /// The command line is wrong.
    Usage,
    /// The command succeeded, but cleaning up after it did not.
    CleanupIncomplete,
    /// newroot itself failed.
    Failed,
    /// The command exists and cannot be run.
    NotRunnable,
    /// The command does not exist.
    NotFound,
    /// The command's own status, or 128+n when signal n ended it.
    Command(u8),
}

impl Exit {
    /// The number that the caller's shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::CleanupIncomplete => 122,
            Self::Failed => 125,
            Self::NotRunnable => 126,
            Self::NotFound => 127,
            Self::Command(code) => code,
        }
    }

    /// The status of a command that signal `number` ended.
    #[must_use]
    pub fn signalled(number: u8) -> Self {
        Self::Command(128_u8.saturating_add(number))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// One way out: what it does and the exact command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What the command is for, without a full stop.
    pub purpose: String,
    /// What to type; empty when the purpose says it all.
    pub command: String,
}

/// A failure that was thought through: see `screens.md`, screen 6.
///
/// Shown as `newroot: WHAT: WHY`, the details indented, then a `hint:` line for each way out.
#[derive(Debug)]
pub struct Failure {
    /// "cannot start /bin/bash in /mnt"
    pub what: String,
    /// "its loader is missing"; may be empty.
    pub why: String,
    /// Facts, a line each.
    pub details: Vec<String>,
    /// Ways out.
    pub hints: Vec<Hint>,
    /// What the process exits with.
    pub exit: Exit,
    /// The error below, with the system call; shown at `-v`.
    pub source: Option<anyhow::Error>,
}

impl Failure {
    /// A failure of newroot itself (exit 125).
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            details: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Failed,
            source: None,
        }
    }

    /// Adds a fact, shown on a line of its own.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds a way out: what it does, and what to type.
    #[must_use]
    pub fn hint(mut self, purpose: impl Into<String>, command: impl Into<String>) -> Self {
        self.hints.push(Hint {
            purpose: purpose.into(),
            command: command.into(),
        });
        self
    }

    /// Sets the exit status.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Keeps the error below for `-v`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.why.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.why)
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_documented_numbers() {
        let table = [
            (Exit::Success, 0),
            (Exit::Findings, 1),
            (Exit::Usage, 2),
            (Exit::CleanupIncomplete, 122),
            (Exit::Failed, 125),
            (Exit::NotRunnable, 126),
            (Exit::NotFound, 127),
            (Exit::Command(7), 7),
            (Exit::signalled(15), 143),
        ];
        for (exit, code) in table {
            assert_eq!(exit.code(), code);
        }
    }
}
