//! `newroot scan`: look, close every look, show.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::Globals;
use crate::cli::scan::ScanArgs;
use crate::cmd::unlock::{self, Unlock};
use crate::cmd::{alone, target};
use crate::error::Exit;
use crate::model::HostPath;
use crate::probe::scan::{self, Found, Options, Scan};
use crate::probe::target::{Choice, Name, choose, name};
use crate::ui::Ui;
use crate::ui::scan as show;

pub(super) fn run(args: &ScanArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    unlock::obey(scan(args, globals, ui))
}

fn scan(args: &ScanArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let named: Vec<(&OsString, Name)> = args
        .targets
        .iter()
        .map(|typed| (typed, name(typed)))
        .collect();
    if globals.dry_run && !args.unlock.is_empty() {
        let _alone = alone::wait(ui);
        let scan = open(&named)?;
        let text = unlock::preview(&scan, to_unlock(args))?;
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    let mut found = look(&named, args, ui)?;
    keep(&mut found, &named)?;
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
    let is_known = !found.systems.is_empty() || !found.locked.is_empty();
    if !is_known && found.skipped.is_empty() && !named.is_empty() {
        ui.note("Next, all disks of this machine: newroot scan");
    }
    Ok(Exit::Success)
}

/// Paths say where to look; without one it is the whole machine.
fn look(named: &[(&OsString, Name)], args: &ScanArgs, ui: &Ui) -> anyhow::Result<Found> {
    let directories: Vec<&HostPath> = named
        .iter()
        .filter_map(|(_, name)| match name {
            Name::Directory(path) => Some(path),
            _ => None,
        })
        .collect();
    let mut found = Found::default();
    if directories.is_empty() || !devices(named).is_empty() || !args.unlock.is_empty() {
        let _alone = alone::wait(ui);
        let scan = open(named)?;
        found = if args.unlock.is_empty() {
            scan.finish().map_err(|left| target::left_open(&left))?
        } else {
            unlock::look_inside(scan, to_unlock(args), ui, |_| ())?.0
        };
    }
    for path in directories {
        let system = scan::directory(path).map_err(|error| target::no_directory(path, &error))?;
        found.systems.push(system);
    }
    Ok(found)
}

fn to_unlock(args: &ScanArgs) -> Unlock<'_> {
    Unlock {
        verb: "scan",
        ids: &args.unlock,
        key_file: args.key_file.as_deref(),
    }
}

fn devices(named: &[(&OsString, Name)]) -> Vec<PathBuf> {
    let paths = named.iter().filter_map(|(_, name)| match name {
        Name::Image(path) | Name::Device(path) => Some(path.clone()),
        _ => None,
    });
    paths.collect()
}

fn open(named: &[(&OsString, Name)]) -> anyhow::Result<Scan> {
    let options = Options {
        only: devices(named),
        ..Options::default()
    };
    Ok(scan::scan(&options).map_err(|error| target::scan_failure(&error))?)
}

/// Words say what of it to show.
fn keep(found: &mut Found, named: &[(&OsString, Name)]) -> anyhow::Result<()> {
    let mut systems = Vec::new();
    let mut locked = Vec::new();
    let mut filtered = false;
    for (typed, name) in named {
        if !matches!(name, Name::Spec(_) | Name::Word(_)) {
            continue;
        }
        filtered = true;
        match choose(&found.inventory, &found.systems, &found.locked, Some(name)) {
            Choice::System(index) => systems.push(index),
            Choice::Locked(index) => locked.push(index),
            Choice::Several(more, volumes) => {
                systems.extend(more);
                locked.extend(volumes);
            }
            Choice::Nothing => {
                return Err(target::nothing_fits(found, &typed.to_string_lossy()).into());
            }
        }
    }
    if filtered {
        let mut index = 0..;
        found
            .systems
            .retain(|_| index.next().is_some_and(|at| systems.contains(&at)));
        let mut index = 0..;
        found
            .locked
            .retain(|_| index.next().is_some_and(|at| locked.contains(&at)));
    }
    Ok(())
}
