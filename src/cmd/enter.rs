//! `newroot enter`: gather, plan, show or do, report.

mod command;
mod facts;
mod failure;
mod report;

pub(super) use command::{Wanted, choose};
pub(super) use report::{Shown, describe, report_visit};

use std::ffi::OsString;

use crate::cli::Globals;
use crate::cli::enter::{EnterArgs, EntryOptions};
use crate::error::Exit;
use crate::exec::enter::{Entry, RootDirectory};
use crate::exec::enter::{run as supervise, unshare};
use crate::plan;
use crate::session::{Live, New, Place};
use crate::sys;
use crate::ui::Ui;
use facts::Root;

pub(super) fn run(args: &EnterArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let privileged = sys::process::may_mount();
    let root = facts::open(&args.root)?;
    let (plan, is_shell) = decide(&root, &args.entry, &args.command, privileged)?;
    for note in &plan.notes {
        ui.note(&format!("note: {note}"));
    }
    if globals.dry_run {
        ui.out(plan::script(&plan.steps).as_bytes())?;
        return Ok(Exit::Success);
    }
    let place = place()?;
    let mut live = Live::create(
        &place,
        New {
            kind: "enter",
            root: root.path.as_path().to_path_buf(),
            command: args.command.clone(),
        },
    )?;
    let entry = Entry {
        root: RootDirectory::Path {
            path: root.path.clone(),
            id: root.id,
        },
        steps: plan.steps,
        ends_on_hangup: is_shell,
    };
    let namespaces = match unshare(!privileged) {
        Ok(namespaces) => namespaces,
        Err(error) => {
            live.finish()?;
            return Err(failure::namespaces(&error, &root.path).into());
        }
    };
    let steps = entry.steps.clone();
    let outcome = supervise(entry, namespaces, &mut live, &mut report::Shown(ui));
    report::finish(
        outcome,
        live,
        &steps,
        &root.path,
        args.entry.status.as_deref(),
        ui,
    )
}

/// What happens, as data: everything is known before anything is done.
fn decide(
    root: &Root,
    options: &EntryOptions,
    words: &[OsString],
    privileged: bool,
) -> anyhow::Result<(plan::enter::EnterPlan, bool)> {
    let mut facts = facts::gather(&root.tree, &root.path, options, privileged)?;
    let view = facts::as_entered(&root.tree, &facts)?;
    let chosen = command::choose(
        &view,
        &root.path,
        command::Wanted {
            words,
            user: options.user.as_deref(),
            env: &options.env,
            given: &[],
            directory: options.workdir.as_deref(),
            privileged,
        },
    )?;
    facts.command = chosen.command;
    let plan = plan::enter::plan(&facts).map_err(|error| failure::plan(&error, &root.path))?;
    Ok((plan, chosen.is_shell))
}

/// Where this user's sessions are recorded.
pub(super) fn place() -> anyhow::Result<Place> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    Ok(Place::open(runtime.as_deref())?)
}
