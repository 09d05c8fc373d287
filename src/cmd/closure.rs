//! `newroot closure`.

use crate::cli::closure::ClosureArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &ClosureArgs, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("closure", "not built yet").into())
}
