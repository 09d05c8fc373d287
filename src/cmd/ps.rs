//! `newroot ps`.

use crate::cli::sessions::PsArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &PsArgs, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("ps", "not built yet").into())
}
