//! `jail update` and `jail add`: bring an existing jail to what its (extended) request says now,
//! file by file, never the directory under a running program.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Content, name_owners, open_from};
use super::report::{Built, Counted, block};
use super::survey::{self, Jail};
use super::{absolute, choices, directory, failure};
use crate::cli::Globals;
use crate::cli::jail::UpdateArgs;
use crate::error::{Exit, Failure};
use crate::exec::{Files, UndoStack, apply, lock_jail};
use crate::model::{EntryKind, HostPath, Request, RootPath, hex};
use crate::plan::jail::{Kept, Update, Wanted, update};
use crate::root::{InRoot, Tree, sum_of};
use crate::sys::{self, signal::Held};
use crate::ui::Ui;

pub(super) fn run(args: &UpdateArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let dir = directory(&args.dir);
    let jail = survey::open("update", &dir)?;
    let request = jail.manifest.request.clone();
    bring("update", jail, &request, args.sync, globals, ui)
}

/// Makes `jail` hold what `request` names.
pub(super) fn bring(
    verb: &str,
    jail: Jail,
    request: &Request,
    sync: bool,
    globals: &Globals,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    let dir = jail.dir.clone();
    let what = format!("cannot {verb} {dir}");
    let _lock = if globals.dry_run {
        None
    } else {
        Some(
            lock_jail(jail.root.fd())
                .map_err(|error| Failure::new(what.clone(), error.to_string()))?,
        )
    };
    let from = HostPath::new(request.from.as_path());
    let tree = open_from(&from)?;
    let content = Content::gather(request, tree.as_ref(), Some(&absolute(&dir)))?;
    let choices = choices(&dir, &request.from);
    let mut wanted = content.wanted(&choices);
    name_owners(tree.as_ref(), wanted.values_mut().map(|one| &mut one.entry));
    let listed: BTreeSet<RootPath> = jail
        .manifest
        .entries
        .iter()
        .map(|entry| entry.path.clone())
        .chain(wanted.keys().cloned())
        .collect();
    let found = survey::survey(&jail.root, &|path| listed.contains(path))?;
    wanted.retain(|path, _| !found.is_covered(path));
    take_sums(&mut wanted, &found.actual, tree.as_ref());
    let old = found.visible(&jail.manifest.entries);
    let update = update(&old, &wanted, &found.actual, &choices);
    if globals.dry_run {
        let lines: String = update
            .plan
            .steps
            .iter()
            .map(|step| format!("{step}\n"))
            .collect();
        ui.out(lines.as_bytes())?;
        report_kept(&update, ui);
        return Ok(Exit::Success);
    }
    let counted = perform(
        &jail.root,
        request,
        &content,
        &update,
        tree.as_ref(),
        sync,
        ui,
    )
    .map_err(|error| {
        failure::step(what, &dir, error)
            .detail("what was replaced before that stays; doing it again goes on from there")
    })?;
    report(&dir, &content, &update, &counted, ui);
    Ok(Exit::Success)
}

/// The sums of what may be there already; the rest is summed while it is copied.
fn take_sums(
    wanted: &mut BTreeMap<RootPath, Wanted>,
    actual: &BTreeMap<RootPath, crate::plan::jail::Actual>,
    tree: &dyn Tree,
) {
    for (path, one) in wanted {
        if one.entry.kind != EntryKind::File || !actual.contains_key(path) {
            continue;
        }
        let sum = match (&one.bytes, &one.entry.source) {
            (Some(bytes), _) => Some(*blake3::hash(bytes).as_bytes()),
            (None, Some(source)) => sum_of(tree, source).ok(),
            (None, None) => None,
        };
        one.entry.blake3 = sum.map(|sum| hex(&sum));
    }
}

fn perform(
    root: &InRoot,
    request: &Request,
    content: &Content,
    update: &Update,
    tree: &dyn Tree,
    sync: bool,
    ui: &Ui,
) -> Result<Counted, crate::exec::ExecError> {
    let target = sys::file::open_directory(root.fd(), std::path::Path::new("."))?;
    let mut files = Files::new(InRoot::from_fd(target), tree);
    files.clear_unfinished()?;
    files.held = Some(Held::new(&super::build::ENDING)?);
    let mut manifest = content.manifest(request);
    manifest.entries.clone_from(&update.plan.entries);
    files.manifest = Some(manifest);
    let steps = &update.plan.steps;
    let bytes = steps.iter().map(|step| step.op.bytes()).sum();
    let mut progress = ui.progress(steps.len() as u64, bytes);
    let mut undo = UndoStack::new();
    let done = apply(steps, &mut files, &mut undo, &mut progress);
    progress.finish();
    if let Some(held) = files.held.take() {
        held.release()?;
    }
    if let Err(error) = done {
        // What cannot be taken back is no worse than what was not done: the manifest is the old
        // one, and the next update looks at everything again.
        for left in undo
            .finish(&mut files, &mut progress)
            .err()
            .into_iter()
            .flatten()
        {
            ui.warn(&format!("cannot take back: {}: {}", left.step, left.error));
        }
        return Err(error);
    }
    undo.keep();
    if sync {
        sys::file::sync_file_system(files.target().fd())?;
    }
    Ok(Counted::of(&files.outcomes))
}

fn report(dir: &HostPath, content: &Content, update: &Update, counted: &Counted, ui: &Ui) {
    let changes = [
        ("new", &update.created),
        ("replaced", &update.changed),
        ("put back", &update.restored),
        ("removed", &update.removed),
    ];
    if changes.iter().all(|(_, paths)| paths.is_empty()) && update.kept.is_empty() {
        ui.note(&format!("{dir} is up to date"));
        return;
    }
    for (heading, paths) in changes {
        let lines: Vec<String> = paths.iter().map(ToString::to_string).collect();
        block(ui, heading, &lines);
    }
    report_kept(update, ui);
    Built::new(dir, content, &update.plan, counted, ui.verbose()).show(ui);
}

fn report_kept(update: &Update, ui: &Ui) {
    let lines: Vec<String> = update
        .kept
        .iter()
        .map(|(path, why)| {
            let why = match why {
                Kept::Edited => "was edited in the jail",
                Kept::EditedAndUnneeded => "nothing needs it any more, but it was edited",
                Kept::InTheWay => "something that newroot did not make is in the way",
            };
            format!("{path}: {why}")
        })
        .collect();
    block(ui, "left as it is", &lines);
}
