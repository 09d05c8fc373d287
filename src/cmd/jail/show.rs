//! temporary
use crate::error::{Exit, Failure};
use crate::ui::Ui;
pub(super) fn run<T>(_args: &T, _ui: &Ui) -> anyhow::Result<Exit> {
    Err(Failure::new("x", "y").into())
}
