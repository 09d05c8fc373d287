//! `newroot profile`.

use crate::cli::profile::ProfileArgs;
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(_args: &ProfileArgs, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("profile", "not built yet").into())
}
