//! What is wrong with the target, by the doctor's rules: a quick look for the head of the menu,
//! the whole of it when it is asked for.

use std::time::Instant;

use super::Session;
use crate::cmd::doctor::{self, Diagnosis};
use crate::doctor::{Report, Severity};
use crate::probe::health::disks;
use crate::root::InRoot;

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
    /// Without programs and packages: it takes no time that a person would notice. `None` for
    /// what is no installed system.
    pub(super) fn look(&self) -> Option<Looked> {
        let report = self.examine(true)?;
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
        let begin = Instant::now();
        let Some((system, report)) = self.opened.system.clone().zip(self.examine(false)) else {
            self.ui.note("nothing in it speaks for an installed system");
            return Ok(());
        };
        let diagnosis = Diagnosis {
            system,
            inventory: self.opened.inventory.clone(),
            report,
            seconds: begin.elapsed().as_secs_f64(),
            quick: false,
        };
        doctor::show(&diagnosis, self.args.target.as_deref(), &self.ui)
    }

    fn examine(&self, quick: bool) -> Option<Report> {
        let system = self.opened.system.as_ref()?;
        let tree = InRoot::open(&self.opened.root).ok()?;
        let disks = disks::of_directory(&self.opened.root);
        let inventory = &self.opened.inventory;
        Some(doctor::examine(&tree, system, inventory, &disks, quick))
    }
}
