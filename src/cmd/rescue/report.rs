//! The doctor's report of a target that is open.

use super::Session;
use crate::cmd::doctor;

impl Session<'_> {
    /// What is wrong with the target, without entering it.
    pub(super) fn report(&self) -> anyhow::Result<()> {
        let Some(system) = &self.opened.system else {
            self.ui.note("nothing speaks for an installed system in it");
            return Ok(());
        };
        let opened = &self.opened;
        let diagnosis = doctor::of_mounted(system, &opened.inventory, &opened.root)?;
        let target = self.args.target.as_deref();
        for line in doctor::text(&diagnosis, target, &self.ui).lines() {
            self.ui.note(line);
        }
        Ok(())
    }
}
