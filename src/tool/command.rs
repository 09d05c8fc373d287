//! A program to run, as data, and what can go wrong with it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where programs are looked for; neither the caller's PATH nor a target's counts.
const PLACES: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// How much of what a program says on stderr is kept, in bytes.
pub(super) const TAIL: usize = 2000;

/// One program to run.
#[derive(Clone, Debug)]
pub struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    pub(super) deadline: Duration,
    pub(super) input: Vec<u8>,
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not installed here.
    #[error("{program} is not installed (package {package})")]
    Missing {
        /// Its name.
        program: &'static str,
        /// What to install.
        package: &'static str,
    },
    /// It could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// It did not end in time.
    #[error("{program} gave no answer in {} s", deadline.as_secs())]
    Deadline {
        /// Its name.
        program: &'static str,
        /// How long it had.
        deadline: Duration,
    },
    /// It ran and failed.
    #[error("{argv} failed ({status}){}", said(.tail))]
    Failed {
        /// The command as a person would type it.
        argv: String,
        /// How it ended: "exit status 1", "signal 9".
        status: String,
        /// The end of what it said on stderr.
        tail: String,
    },
}

fn said(tail: &str) -> String {
    if tail.is_empty() {
        String::new()
    } else {
        format!(": {tail}")
    }
}

impl Tool {
    /// `program`, which `package` brings on most distributions.
    #[must_use]
    pub fn new(program: &'static str, package: &'static str) -> Self {
        Self {
            program,
            package,
            arguments: Vec::new(),
            environment: Vec::new(),
            deadline: Duration::from_secs(60),
            input: Vec::new(),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let more = arguments
            .into_iter()
            .map(|word| word.as_ref().to_os_string());
        self.arguments.extend(more);
        self
    }

    /// How long it may take; a minute unless told.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets a variable besides PATH and `LC_ALL=C`.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// What it reads from stdin: at most a pipe's worth (a passphrase, not a file).
    #[must_use]
    pub fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// The program with its arguments, for logs and for `-n`.
    #[must_use]
    pub fn shell(&self) -> String {
        let mut line = self.program.to_string();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&crate::model::shell_word(argument.as_encoded_bytes()));
        }
        line
    }

    /// Where the program is on this machine.
    #[must_use]
    pub fn find(&self) -> Option<PathBuf> {
        PLACES
            .iter()
            .map(|place| Path::new(place).join(self.program))
            .find(|path| rustix::fs::access(path.as_path(), rustix::fs::Access::EXEC_OK).is_ok())
    }

    /// The command, ready but for its three streams.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where programs are started"
    )]
    pub(super) fn prepare(&self) -> Result<Command, ToolError> {
        let path = self.find().ok_or(ToolError::Missing {
            program: self.program,
            package: self.package,
        })?;
        tracing::debug!(command = self.shell(), "tool");
        let mut command = Command::new(path);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", PLACES.join(":"))
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    pub(super) fn cannot_start(&self, source: std::io::Error) -> ToolError {
        ToolError::Start {
            program: self.program,
            source,
        }
    }
}
