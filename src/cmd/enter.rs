//! `newroot enter`: gather, plan, show or do, report.

mod command;
mod facts;
mod failure;
mod report;

pub(super) use command::{Wanted, choose};
pub(super) use failure::namespaces as namespaces_failure;
pub(super) use report::{Shown, describe, report_visit};

use std::path::Path;

use crate::cli::Globals;
use crate::cli::enter::{EnterArgs, EntryOptions};
use crate::error::Exit;
use crate::exec::enter::{Entry, Namespaces, RootDirectory, run as supervise, unshare};
use crate::model::HostPath;
use crate::plan;
use crate::root::Tree;
use crate::session::{Live, New, Place};
use crate::sys;
use crate::ui::Ui;
use facts::Root;

pub(super) fn run(args: &EnterArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let privileged = sys::process::may_mount();
    let Root { path, tree, id } = facts::open(&args.root)?;
    let wanted = Wanted {
        words: &args.command,
        user: args.entry.user.as_deref(),
        env: &args.entry.env,
        given: &[],
        directory: args.entry.workdir.as_deref(),
        privileged,
    };
    let decided = decide(&tree, &path, &args.entry, wanted)?;
    // An open directory would keep the host from unmounting it as long as the session runs.
    drop(tree);
    for note in &decided.plan.notes {
        ui.note(&format!("note: {note}"));
    }
    if globals.dry_run {
        ui.out(plan::script(&decided.plan.steps).as_bytes())?;
        return Ok(Exit::Success);
    }
    let new = New {
        kind: "enter",
        root: path.as_path().to_path_buf(),
        command: args.command.clone(),
    };
    let live = Live::create(&place()?, new)?;
    let namespaces = match unshare(!privileged) {
        Ok(namespaces) => namespaces,
        Err(error) => {
            live.finish()?;
            return Err(namespaces_failure(&error, &path).into());
        }
    };
    let source = RootDirectory::Path {
        path: path.clone(),
        id,
    };
    let status = args.entry.status.as_deref();
    go(source, decided, (namespaces, live), &path, status, ui)
}

/// What happens, as data: everything is known before anything is done.
#[derive(Debug)]
pub(super) struct Decided {
    /// The steps and notes.
    pub(super) plan: plan::enter::EnterPlan,
    /// The program is a shell that reads from the terminal.
    pub(super) is_shell: bool,
}

/// Looks at `tree` and decides how it is entered. `path` is how the user knows it.
///
/// # Errors
/// A [`crate::error::Failure`] that says what is in the way.
pub(super) fn decide(
    tree: &dyn Tree,
    path: &HostPath,
    options: &EntryOptions,
    wanted: Wanted<'_>,
) -> anyhow::Result<Decided> {
    let mut facts = facts::gather(tree, path, options, wanted.privileged)?;
    let view = facts::as_entered(tree, &facts)?;
    let chosen = choose(&view, path, wanted)?;
    facts.command = chosen.command;
    let plan = plan::enter::plan(&facts).map_err(|error| failure::plan(&error, path))?;
    Ok(Decided {
        plan,
        is_shell: chosen.is_shell,
    })
}

/// Enters and reports. Nothing of the caller's may stand on the root: a descriptor of a jail in a
/// tmpfs would keep it.
///
/// # Errors
/// Why the program did not run.
pub(super) fn go(
    source: RootDirectory,
    decided: Decided,
    (namespaces, mut live): (Namespaces, Live),
    path: &HostPath,
    status: Option<&Path>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let steps = decided.plan.steps.clone();
    let entry = Entry {
        root: source,
        steps: decided.plan.steps,
        ends_on_hangup: decided.is_shell,
    };
    let outcome = supervise(entry, namespaces, &mut live, &mut Shown(ui));
    report::finish(outcome, live, &steps, path, status, ui)
}

/// Where this user's sessions are recorded.
pub(super) fn place() -> anyhow::Result<Place> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    Ok(Place::open(runtime.as_deref())?)
}
