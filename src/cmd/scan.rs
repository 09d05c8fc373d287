//! `newroot scan`: look, close every look, show.

use std::path::PathBuf;

use crate::cli::scan::ScanArgs;
use crate::cmd::target;
use crate::error::Exit;
use crate::probe::scan::{self, Options};
use crate::ui::Ui;
use crate::ui::scan as show;

pub(super) fn run(args: &ScanArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let options = Options {
        only: args.only.iter().map(PathBuf::from).collect(),
    };
    let scan = scan::scan(&options).map_err(|error| target::scan_failure(&error))?;
    let found = scan.finish().map_err(|left| target::left_open(&left))?;
    if args.json {
        let mut text = serde_json::to_string_pretty(&show::json(&found))?;
        text.push('\n');
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    ui.out(show::table(&found).as_bytes())?;
    for line in show::closing(&found) {
        ui.note(&line);
    }
    Ok(Exit::Success)
}
