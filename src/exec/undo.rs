//! The undo stack: what was done, taken back in reverse order, whatever happens.

use super::{Events, ExecError, Machine};
use crate::plan::Step;

/// The inverses of what was done. End it with [`UndoStack::finish`] (take everything back) or
/// [`UndoStack::keep`] (it shall stay).
#[must_use = "what was done is neither kept nor taken back"]
#[derive(Debug, Default)]
pub struct UndoStack {
    inverses: Vec<Step>,
}

/// A step that could not be taken back.
#[derive(Debug)]
pub struct UndoFailure {
    /// The inverse that failed.
    pub step: Step,
    /// Why.
    pub error: ExecError,
}

impl UndoStack {
    /// An empty stack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the inverse of something that was just done.
    pub fn push(&mut self, inverse: Step) {
        self.inverses.push(inverse);
    }

    /// How much there is to take back.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inverses.len()
    }

    /// Whether there is nothing to take back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inverses.is_empty()
    }

    /// Takes everything back, last first. One failure does not stop the rest.
    ///
    /// # Errors
    /// Every step that could not be taken back.
    pub fn finish(
        mut self,
        machine: &mut dyn Machine,
        events: &mut dyn Events,
    ) -> Result<(), Vec<UndoFailure>> {
        let mut failures = Vec::new();
        while let Some(step) = self.inverses.pop() {
            match machine.perform(&step) {
                Ok(()) => events.undone(&step),
                Err(error) => failures.push(UndoFailure { step, error }),
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures)
        }
    }

    /// What was done shall stay.
    pub fn keep(mut self) {
        self.inverses.clear();
    }
}

impl Drop for UndoStack {
    fn drop(&mut self) {
        if !self.inverses.is_empty() {
            tracing::error!(
                steps = self.inverses.len(),
                "an undo stack was dropped with work left"
            );
        }
    }
}
