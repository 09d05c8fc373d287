//! temporary
use crate::cli::Globals;
use crate::error::{Exit, Failure};
use crate::ui::Ui;
pub(super) fn run<T>(_args: &T, _globals: &Globals, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("x", "y").into())
}
