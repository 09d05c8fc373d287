//! `newroot exec`.

use crate::cli::sessions::ExecArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &ExecArgs, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("exec", "not built yet").into())
}
