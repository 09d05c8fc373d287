//! The only module that prints or asks.
//!
//! Data goes to stdout, everything else to stderr. Names that come from a disk are escaped
//! before they reach a terminal or a log. A broken pipe is no error.

pub mod closure;
pub mod doctor;
pub mod features;
pub mod menu;
mod progress;
mod prompt;
mod report;
mod sanitize;
pub mod scan;
mod table;

pub use progress::Progress;
pub use prompt::Line;
pub use report::{explain_panics, fatal, usage_error};
pub use sanitize::{escape, escape_bytes, shell_quote};
pub use table::table;

use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::cli::{ColorChoice, Globals};
use crate::error::Exit;

/// How to talk on this command line.
#[derive(Clone, Debug)]
pub struct Ui {
    verbosity: Verbosity,
    color_out: bool,
    plain: bool,
    assume_yes: bool,
    mind: Option<Arc<OwnedFd>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

impl Ui {
    /// Decides once about colour, plainness and verbosity.
    #[must_use]
    pub fn new(globals: &Globals) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let plain = globals.plain
            || dumb
            || std::env::var_os("NEWROOT_PLAIN").is_some()
            || prompt::is_serial();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colored = |terminal: bool| match globals.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !plain && !no_color,
        };
        let verbosity = if globals.quiet {
            Verbosity::Quiet
        } else if globals.verbose > 0 {
            Verbosity::Verbose
        } else {
            Verbosity::Normal
        };
        Self {
            verbosity,
            color_out: colored(io::stdout().is_terminal()),
            plain,
            assume_yes: globals.yes,
            mind: None,
        }
    }

    /// The same, and every question ends when this descriptor becomes readable: a signalfd(2) of
    /// whoever holds signals back.
    #[must_use]
    pub fn minding(mut self, signals: OwnedFd) -> Self {
        self.mind = Some(Arc::new(signals));
        self
    }

    /// Whether stdout may be coloured.
    #[must_use]
    pub fn color_out(&self) -> bool {
        self.color_out
    }

    /// ASCII only, no bars, one line a stage.
    #[must_use]
    pub fn plain(&self) -> bool {
        self.plain
    }

    /// `-y`: answer what is safe to answer.
    #[must_use]
    pub fn assume_yes(&self) -> bool {
        self.assume_yes
    }

    /// `-v`.
    #[must_use]
    pub fn verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Whether a progress bar may be drawn.
    #[must_use]
    pub fn wants_progress(&self) -> bool {
        !self.plain && self.verbosity == Verbosity::Normal && io::stderr().is_terminal()
    }

    /// Writes data to stdout. A reader that went away is no error.
    ///
    /// # Errors
    /// The errno of write(2), EPIPE excepted.
    pub fn out(&self, data: &[u8]) -> io::Result<()> {
        write_out(data)
    }

    /// Standard output for a stream of data too big for [`Ui::out`]. The caller takes EPIPE for
    /// the reader's wish.
    ///
    /// # Errors
    /// The errno of dup(2).
    pub fn data(&self) -> io::Result<std::fs::File> {
        use std::os::fd::AsFd;
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(std::fs::File::from(stdout))
    }

    /// Whether standard output is a terminal, which must not get an archive.
    #[must_use]
    pub fn out_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Asks for something that must not be seen. `None` when there is no terminal to ask in.
    ///
    /// # Errors
    /// The terminal cannot be read; [`io::ErrorKind::Interrupted`] when a signal came first.
    pub fn secret(&self, prompt: &str) -> io::Result<Option<String>> {
        if !self.can_ask() {
            return Ok(None);
        }
        if self.mind.is_some() {
            // dialoguer cannot be interrupted by a signal that is held back.
            return self.hidden_line(&format!("{prompt}: ")).map(Some);
        }
        let asked = dialoguer::Password::new()
            .with_prompt(escape(prompt))
            .interact();
        asked.map(Some).map_err(io::Error::other)
    }

    /// One line of a report on stderr; silent with `-q`.
    pub fn note(&self, line: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.err_line(line);
        }
    }

    /// One line on stderr at `-v` only.
    pub fn detail(&self, line: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.err_line(line);
        }
    }

    /// A warning; shown with `-q` too, since something will be different from what was asked.
    pub fn warn(&self, line: &str) {
        self.err_line(&format!("newroot: warning: {line}"));
    }

    /// One line of the answer that is no data: something missing, refused, unreadable.
    pub fn complain(&self, line: &str) {
        self.err_line(&format!("newroot: {line}"));
    }

    /// Shows an error with its details and hints and returns the exit status it stands for.
    #[must_use]
    pub fn failure(&self, error: &anyhow::Error) -> Exit {
        report::failure(self, error)
    }

    fn err_line(&self, line: &str) {
        let mut text = escape(line);
        text.push('\n');
        // Nobody is left to tell when stderr itself is gone.
        io::stderr().lock().write_all(text.as_bytes()).ok();
    }
}

fn write_out(data: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(data).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
