//! `newroot stop`.

use crate::cli::Globals;
use crate::cli::sessions::StopArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &StopArgs, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("stop", "not built yet").into())
}
