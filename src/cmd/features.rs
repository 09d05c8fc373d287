//! `newroot features`: look, show, name what is missing and what brings it.

use crate::cli::features::FeaturesArgs;
use crate::error::Exit;
use crate::probe::features::{family, kernel, tools, tried};
use crate::probe::surroundings::release;
use crate::root::Host;
use crate::sys;
use crate::ui::Ui;
use crate::ui::features::{Report, closing, json, table};

pub(super) fn run(args: &FeaturesArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let os = release(&Host);
    let family = family(&Host, &os);
    let kernel_release = sys::process::kernel_release();
    let report = Report {
        kernel: kernel(&Host, &kernel_release, &tried()),
        tools: tools(&Host, family),
        installer: family.map(|family| family.installer()),
        name: os.short(),
        machine: sys::process::machine(),
        kernel_release,
    };
    if args.json {
        let mut text = serde_json::to_string_pretty(&json(&report))?;
        text.push('\n');
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    ui.out(table(&report).as_bytes())?;
    for line in closing(&report) {
        ui.note(&line);
    }
    Ok(Exit::Success)
}
