//! What is said while a root is entered, and at the end.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::failure;
use crate::error::Exit;
use crate::exec::enter::{EnterError, Outcome};
use crate::exec::{Events, Holder};
use crate::model::{Ended, HostPath};
use crate::plan::Step;
use crate::session::Live;
use crate::sys;
use crate::ui::{Ui, escape_bytes};

/// `-v` shows each operation as it is done: the same lines as `-n`.
pub(crate) struct Shown<'u>(pub(crate) &'u Ui);

impl Events for Shown<'_> {
    fn begins(&mut self, _step: &Step) {}

    fn done(&mut self, step: &Step) {
        self.0.detail(&step.to_string());
    }

    fn undone(&mut self, _step: &Step) {}

    fn noted(&mut self, text: &str) {
        self.0.note(&format!("note: {text}"));
    }
}

/// Ends the session's record, says what went wrong, and decides on the exit status.
///
/// # Errors
/// Why the program did not run.
pub(crate) fn finish(
    outcome: Result<Outcome, EnterError>,
    live: Live,
    steps: &[Step],
    root: &HostPath,
    status: Option<&Path>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let id = live.id().to_owned();
    // The record stays by itself when something is left in it.
    let closed = live.finish();
    match outcome {
        Ok(outcome) => {
            closed?;
            for holder in &outcome.holders {
                ui.warn(&describe(holder));
            }
            if !outcome.holders.is_empty() {
                ui.note(&format!(
                    "hint: when they have ended, the rest is gone: newroot cleanup  (session {id})"
                ));
            }
            if let Some(path) = status {
                write_status(path, &outcome)?;
            }
            Ok(exit(&outcome))
        }
        Err(EnterError::Told(signal)) => {
            closed?;
            told(signal, status)
        }
        Err(error) => {
            let failure = failure::enter(error, steps, root);
            // The first error is what counts; the second must not vanish.
            if let Err(second) = closed {
                ui.warn(&format!("the record of session {id} stays: {second}"));
            }
            Err(failure.into())
        }
    }
}

/// What the caller's shell sees.
pub(crate) fn exit(outcome: &Outcome) -> Exit {
    let own = match outcome.told {
        Some(signal) => Ended::Signaled(u8::try_from(signal).unwrap_or(0)).status(),
        None => outcome.ended.status(),
    };
    match own {
        0 if !outcome.holders.is_empty() => Exit::CleanupIncomplete,
        0 => Exit::Success,
        other => Exit::Command(other),
    }
}

/// One holder, for people.
pub(crate) fn describe(holder: &Holder) -> String {
    use std::os::unix::ffi::OsStrExt;
    let program = escape_bytes(holder.program.as_os_str().as_bytes());
    let program = if program.is_empty() {
        String::from("a program that may not be looked at")
    } else {
        program
    };
    format!(
        "process {} ({program}) still holds the session: {}",
        holder.pid, holder.how
    )
}

/// The end of a command in a session of somebody else's.
///
/// # Errors
/// Why it did not run.
pub(crate) fn report_visit(
    outcome: Result<Outcome, EnterError>,
    root: &HostPath,
    status: Option<&Path>,
) -> anyhow::Result<Exit> {
    match outcome {
        Ok(outcome) => {
            if let Some(path) = status {
                write_status(path, &outcome)?;
            }
            Ok(exit(&outcome))
        }
        Err(EnterError::Told(signal)) => told(signal, status),
        Err(error) => Err(failure::enter(error, &[], root).into()),
    }
}

/// A signal came before the command ran.
fn told(signal: i32, status: Option<&Path>) -> anyhow::Result<Exit> {
    let exit = Exit::signalled(u8::try_from(signal).unwrap_or(0));
    if let Some(path) = status {
        let name = sys::signal::name(signal);
        let why = format!("ended by {name} before the command ran");
        write(path, &not_started(&why, exit))?;
    }
    Ok(exit)
}

/// `--status FILE` where the command did not start: whoever waits for the file finds out why.
///
/// # Errors
/// The error that `done` is; where the file cannot be written, a warning says so.
pub(crate) fn with_status(
    done: anyhow::Result<Exit>,
    status: Option<&Path>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    if let (Err(error), Some(path)) = (&done, status) {
        let failure = error.downcast_ref::<crate::error::Failure>();
        let exit = failure.map_or(Exit::Failed, |failure| failure.exit);
        if let Err(second) = write(path, &not_started(&format!("{error:#}"), exit)) {
            ui.warn(&format!("{second:#}"));
        }
    }
    done
}

fn not_started(why: &str, exit: Exit) -> serde_json::Value {
    json!({ "failed": why, "exit": exit.code() })
}

fn write(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let write = || writeln!(std::fs::File::create(path)?, "{value}");
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// `--status FILE`.
///
/// # Errors
/// The errno of open(2) or write(2).
pub(crate) fn write_status(path: &Path, outcome: &Outcome) -> anyhow::Result<()> {
    let mut value = match outcome.ended {
        Ended::Exited(code) => json!({ "exited": code }),
        Ended::Signaled(number) => json!({
            "signaled": number,
            "signal": sys::signal::name(i32::from(number)),
        }),
    };
    value["by"] = match outcome.told {
        // Told by somebody else: newroot passed it on, and killed what did not end.
        Some(signal) => json!({ "newroot": sys::signal::name(signal) }),
        None => json!("command"),
    };
    value["cleanup"] = json!(if outcome.holders.is_empty() {
        "complete"
    } else {
        "incomplete"
    });
    value["holders"] = json!(outcome.holders);
    write(path, &value)
}
