//! What is known about the target, without entering it.

use super::Session;
use crate::probe::scan::Found;
use crate::ui::scan as show;

impl Session<'_> {
    /// What is known about the target, without entering it.
    pub(super) fn report(&self) -> anyhow::Result<()> {
        let Some(system) = &self.opened.system else {
            self.ui.note("nothing speaks for an installed system in it");
            return Ok(());
        };
        let found = Found {
            inventory: self.opened.inventory.clone(),
            systems: vec![system.clone()],
            ..Found::default()
        };
        for line in show::table(&found).lines() {
            self.ui.note(line);
        }
        Ok(())
    }
}
