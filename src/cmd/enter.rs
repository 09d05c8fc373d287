//! `newroot enter`.

use crate::cli::Globals;
use crate::cli::enter::EnterArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &EnterArgs, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("enter", "not built yet").into())
}
