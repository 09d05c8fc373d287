//! `newroot jail`.

use crate::cli::Globals;
use crate::cli::jail::JailArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &JailArgs, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("jail", "not built yet").into())
}
