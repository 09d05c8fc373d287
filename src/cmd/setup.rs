//! `newroot setup`.

use crate::cli::Globals;
use crate::cli::setup::SetupArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &SetupArgs, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("setup", "not built yet").into())
}
