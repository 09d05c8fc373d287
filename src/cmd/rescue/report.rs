//! What the doctor says of the target as it is mounted here, without entering it.

use std::io;

use super::Session;
use crate::cmd::doctor::{self, Diagnosis};
use crate::doctor::Severity;

/// How many findings of each kind the menu's head names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) errors: usize,
    pub(super) warnings: usize,
}

impl Session<'_> {
    /// The whole report.
    pub(super) fn report(&self) -> anyhow::Result<()> {
        let Some(diagnosis) = self.diagnose(false)? else {
            self.ui.note("nothing speaks for an installed system in it");
            return Ok(());
        };
        let target = self.args.target.as_deref();
        for line in doctor::text(&diagnosis, target, &self.ui).lines() {
            self.ui.note(line);
        }
        Ok(())
    }

    /// The findings in numbers; programs are left to the report, a slow disk has many.
    pub(super) fn count(&self) -> Option<Count> {
        let diagnosis = self.diagnose(true).ok()??;
        Some(Count {
            errors: diagnosis.report.count(Severity::Error),
            warnings: diagnosis.report.count(Severity::Warning),
        })
    }

    fn diagnose(&self, quick: bool) -> io::Result<Option<Diagnosis>> {
        let opened = &self.opened;
        opened
            .system
            .as_ref()
            .map(|system| doctor::of_mounted(system, &opened.inventory, &opened.root, quick))
            .transpose()
    }
}
