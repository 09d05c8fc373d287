//! What the doctor says of the target as it is mounted here, without entering it.

use std::io;
use std::time::Instant;

use super::Session;
use crate::cmd::doctor::{Diagnosis, examine, show};
use crate::doctor::Severity;
use crate::probe::health::disks;
use crate::root::InRoot;

/// How many findings of each kind the menu's head names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) errors: usize,
    pub(super) warnings: usize,
}

impl Session<'_> {
    /// The whole report.
    pub(super) fn report(&self) -> anyhow::Result<()> {
        match self.diagnose(false)? {
            Some(diagnosis) => show(&diagnosis, self.args.target.as_deref(), &self.ui),
            None => {
                self.ui.note("nothing speaks for an installed system in it");
                Ok(())
            }
        }
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
        let Some(system) = &self.opened.system else {
            return Ok(None);
        };
        let begin = Instant::now();
        // Nothing of it may stay open: the target is unmounted before it is mounted read-write.
        let tree = InRoot::open(&self.opened.root)?;
        let disks = disks::of_directory(&self.opened.root);
        let report = examine(&tree, system, &self.opened.inventory, &disks, quick);
        Ok(Some(Diagnosis {
            system: system.clone(),
            inventory: self.opened.inventory.clone(),
            report,
            seconds: begin.elapsed().as_secs_f64(),
            quick,
        }))
    }
}
