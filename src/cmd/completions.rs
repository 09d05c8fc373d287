//! `newroot completions SHELL`: written to stdout, for the shell to read.

use crate::cli::completions::CompletionsArgs;
use crate::error::Exit;
use crate::ui::Ui;

pub(super) fn run(args: &CompletionsArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::cli::command(),
        "newroot",
        &mut script,
    );
    ui.out(&script)?;
    Ok(Exit::Success)
}
