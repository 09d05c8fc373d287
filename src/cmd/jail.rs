//! `newroot jail`.

use crate::cli::Globals;
use crate::cli::jail::{JailAction, JailArgs};
use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub(super) fn run(args: &JailArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    if let JailAction::Export(args) = &args.action {
        return super::export::run(args, globals, ui);
    }
    Err(Failure::new("jail", "not built yet").into())
}
