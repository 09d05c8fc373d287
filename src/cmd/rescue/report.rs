//! What is wrong with the target, by the doctor's rules: a quick look for the head of the menu,
//! the whole of it when it is asked for.

use std::io;

use super::Session;
use crate::cmd::doctor::{self, Diagnosis};
use crate::doctor::Severity;

/// So many errors are named in the head.
const NAMED: usize = 3;

/// What a quick look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    /// The first errors, in a sentence each.
    pub(super) first: Vec<String>,
}

impl Session<'_> {
    /// Without programs and packages, of which a slow disk has many. `None` for what is no
    /// installed system.
    pub(super) fn look(&self) -> Option<Looked> {
        let report = self.diagnose(true).ok()??.report;
        let errors = report.findings.iter();
        let errors = errors.filter(|finding| finding.severity == Severity::Error);
        Some(Looked {
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            first: errors
                .take(NAMED)
                .map(|finding| finding.what.clone())
                .collect(),
        })
    }

    /// Shows everything.
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

    fn diagnose(&self, quick: bool) -> io::Result<Option<Diagnosis>> {
        let opened = &self.opened;
        opened
            .system
            .as_ref()
            .map(|system| doctor::of_mounted(system, &opened.inventory, &opened.root, quick))
            .transpose()
    }
}
