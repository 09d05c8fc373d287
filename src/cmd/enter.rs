//! `newroot enter`: gather, plan, show or do, report. `jail try` goes the same way with a root
//! that has no name.

mod binds;
mod command;
mod facts;
mod failure;
mod jail;
mod report;
mod status;

pub(super) use command::{Wanted, choose};
pub(super) use facts::open;
pub(super) use failure::enter as entry_failure;
pub(super) use failure::namespaces as namespaces_failure;
pub(super) use report::{Shown, describe, exit, report_visit};
pub(super) use status::{Status, with_status};

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::lent::Lending;
use crate::cli::Globals;
use crate::cli::enter::{EnterArgs, EntryOptions};
use crate::error::Exit;
use crate::exec::enter::{Entry, InitRoot, Namespaces, RootDirectory};
use crate::exec::enter::{run as supervise, unshare};
use crate::model::{BindEntry, HostPath};
use crate::plan::{self, Step};
use crate::root::Tree;
use crate::session::{Live, New, Place};
use crate::sys;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::Ui;
use facts::Root;

/// What was asked for, by options, by words, and by the jail's own manifest or profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) options: &'a EntryOptions,
    pub(super) words: &'a [OsString],
    /// Variables of the jail.
    pub(super) given: &'a [(OsString, OsString)],
    /// Binds of the jail; an option for the same place wins.
    pub(super) binds: &'a [BindEntry],
    /// What a rescue has besides.
    pub(super) rescue: Option<&'a plan::enter::rescue::Rescue>,
    /// What the prompt calls it.
    pub(super) name: &'a Path,
    pub(super) privileged: bool,
    /// Tools of the live system, which come before the root's own.
    pub(super) lent: Option<&'a Lending>,
}

/// What will be done.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) plan: plan::enter::EnterPlan,
    pub(super) is_shell: bool,
}

/// A root that is about to be entered, in namespaces that are there.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) root: RootDirectory,
    /// What messages call it.
    pub(super) shown: HostPath,
    pub(super) steps: Vec<Step>,
    /// The lent tools' tmpfs.
    pub(super) lent: Option<OwnedFd>,
    pub(super) is_shell: bool,
    pub(super) namespaces: Namespaces,
}

pub(super) fn run(args: &EnterArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let status = args.entry.status.as_deref().filter(|_| !globals.dry_run);
    with_status(status, ui, |status| enter(args, globals, status, ui))
}

fn enter(
    args: &EnterArgs,
    globals: &Globals,
    status: Option<&Status>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let privileged = sys::process::may_mount();
    let root = facts::open(&args.root)?;
    let jail = jail::read(&root.tree, &args.command);
    let lending = args.lent.then(|| Lending::gather(&root.path)).transpose()?;
    let asked = Asked {
        options: &args.entry,
        words: &jail.command,
        given: &jail.environment,
        binds: &jail.binds,
        rescue: None,
        name: root.path.as_path(),
        privileged,
        lent: lending.as_ref(),
    };
    let ready = prepare(&root.tree, &root.path, asked)?;
    // An open directory would keep the host from unmounting it as long as the session runs.
    let Root { path, tree, id } = root;
    drop(tree);
    for note in &ready.plan.notes {
        ui.note(&format!("note: {note}"));
    }
    if globals.dry_run {
        ui.out(plan::script(&ready.plan.steps).as_bytes())?;
        return Ok(Exit::Success);
    }
    let place = place()?;
    // The supervisor reads them. One that came before would end newroot and leave the record.
    let _held = Held::new(&[INT, TERM, HUP])?;
    let live = Live::create(
        &place,
        New {
            kind: "enter",
            root: path.as_path().to_path_buf(),
            command: args.command.clone(),
        },
    )?;
    let namespaces = match unshare(!privileged) {
        Ok(namespaces) => namespaces,
        Err(error) => {
            live.finish()?;
            let what = format!("enter {path}");
            return Err(failure::namespaces(&error, &what).into());
        }
    };
    let lent = match lending.map(|lending| lending.make(ui)).transpose() {
        Ok(lent) => lent,
        Err(error) => {
            live.finish()?;
            return Err(error);
        }
    };
    let visited = Visited {
        root: RootDirectory::Path {
            path: path.clone(),
            id,
        },
        shown: path,
        lent,
        steps: ready.plan.steps,
        is_shell: ready.is_shell,
        namespaces,
    };
    visit(visited, live, status, ui)
}

/// What happens, as data: everything is known before anything is done.
pub(super) fn prepare(tree: &dyn Tree, root: &HostPath, asked: Asked<'_>) -> anyhow::Result<Ready> {
    let options = jail::with_binds(asked.options, asked.binds);
    let mut facts = facts::gather(tree, root, &options, asked.privileged)?;
    let view = facts::as_entered(tree, &facts)?;
    let chosen = command::choose(
        &view,
        root,
        command::Wanted {
            words: asked.words,
            user: options.user.as_deref(),
            env: &options.env,
            given: asked.given,
            first_in_path: asked.rescue.map(|_| plan::enter::rescue::PROGRAMS),
            name: asked.name,
            directory: options.workdir.as_deref(),
            privileged: asked.privileged,
            lent: asked.lent.map(Lending::offer),
        },
    )?;
    facts.lent = asked.lent.map(Lending::steps);
    facts.command = chosen.command;
    facts.rescue = asked.rescue.cloned();
    let plan = plan::enter::plan(&facts).map_err(|error| failure::plan(&error, &facts))?;
    Ok(Ready {
        plan,
        is_shell: chosen.is_shell,
    })
}

/// Enters, waits, and says how it ended.
pub(super) fn visit(
    visited: Visited,
    mut live: Live,
    status: Option<&Status>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let entry = Entry {
        root: visited.root,
        steps: visited.steps,
        lent: visited.lent,
        ends_on_hangup: visited.is_shell,
        init: InitRoot::Program,
    };
    let steps = entry.steps.clone();
    let outcome = supervise(entry, visited.namespaces, &mut live, &mut report::Shown(ui));
    report::finish(outcome, live, &steps, &visited.shown, status, ui)
}

/// Where this user's sessions are recorded.
pub(super) fn place() -> anyhow::Result<Place> {
    Ok(Place::open(runtime_directory().as_deref())?)
}

/// The same for who only looks: nothing is made, and there is none before the first session.
pub(super) fn known_place() -> anyhow::Result<Option<Place>> {
    Ok(Place::known(runtime_directory().as_deref())?)
}

fn runtime_directory() -> Option<std::path::PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from)
}
