//! `newroot cleanup`.

use crate::cli::Globals;
use crate::cli::sessions::CleanupArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &CleanupArgs, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("cleanup", "not built yet").into())
}
