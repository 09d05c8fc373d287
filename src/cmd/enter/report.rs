//! What is said while a root is entered, and at the end.

use super::failure;
use super::status::Status;
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
    status: Option<&Status>,
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
            if let Some(status) = status {
                status.write(&outcome)?;
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
    status: Option<&Status>,
) -> anyhow::Result<Exit> {
    match outcome {
        Ok(outcome) => {
            if let Some(status) = status {
                status.write(&outcome)?;
            }
            Ok(exit(&outcome))
        }
        Err(EnterError::Told(signal)) => told(signal, status),
        Err(error) => Err(failure::enter(error, &[], root).into()),
    }
}

/// A signal came before the command ran.
fn told(signal: i32, status: Option<&Status>) -> anyhow::Result<Exit> {
    let exit = Exit::signalled(u8::try_from(signal).unwrap_or(0));
    if let Some(status) = status {
        let name = sys::signal::name(signal);
        status.not_started(&format!("ended by {name} before the command ran"), exit)?;
    }
    Ok(exit)
}
