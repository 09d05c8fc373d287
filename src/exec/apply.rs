//! Doing a plan: each step, then its inverse onto the undo stack.

use crate::plan::Step;
use crate::sys::SysError;

use super::UndoStack;

/// What went wrong while a step was done.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// A step failed; the text names it as the user knows it.
    #[error("{what}")]
    Step {
        /// "copy /usr/bin/git"
        what: String,
        /// The call.
        #[source]
        source: SysError,
    },
    /// A signal asked for the end.
    #[error("interrupted by {}", crate::sys::signal::name(*.0))]
    Interrupted(i32),
    /// Something that is not one system call.
    #[error("{0}")]
    Other(String),
    /// No key fits, and there are no more.
    #[error("no key fits")]
    NoKey,
    /// What is to be mounted on is not there, or is no directory.
    #[error("cannot mount on {shown}: {}", crate::sys::describe(*.errno))]
    NoMountPoint {
        /// As the caller would write it.
        shown: String,
        /// Why.
        errno: rustix::io::Errno,
    },
}

/// Who does the steps: the real machine, or a fake one that fails at the n-th.
pub trait Machine {
    /// Does one step, wholly or not at all.
    ///
    /// # Errors
    /// What the kernel said; the step left nothing behind.
    fn perform(&mut self, step: &Step) -> Result<(), ExecError>;
}

/// Who is told.
pub trait Events {
    /// A step begins.
    fn begins(&mut self, step: &Step);
    /// A step is done.
    fn done(&mut self, step: &Step);
    /// A step is being taken back.
    fn undone(&mut self, step: &Step);
    /// Something was done otherwise than planned, and somebody should know.
    fn noted(&mut self, _text: &str) {}
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Events for Silent {
    fn begins(&mut self, _step: &Step) {}
    fn done(&mut self, _step: &Step) {}
    fn undone(&mut self, _step: &Step) {}
}

/// Does `steps` in order. On an error the stack holds what was done so far; the caller finishes
/// it and reports both errors.
///
/// # Errors
/// The first step that failed.
pub fn apply(
    steps: &[Step],
    machine: &mut dyn Machine,
    undo: &mut UndoStack,
    events: &mut dyn Events,
) -> Result<(), ExecError> {
    for step in steps {
        events.begins(step);
        machine.perform(step)?;
        if let Some(op) = step.op.inverse() {
            undo.push(Step {
                place: step.place,
                op,
                base: step.base.clone(),
            });
        }
        events.done(step);
    }
    Ok(())
}
