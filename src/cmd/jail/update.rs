//! `jail update` and `jail add`: bring an existing jail to what its (extended) request says now,
//! file by file, never the directory under a running program.

use std::collections::BTreeMap;

use super::content::{Content, name_owners, open_from};
use super::report::{Built, Counted, block};
use super::survey::{self, Jail};
use super::{absolute, choices, directory, failure};
use crate::cli::Globals;
use crate::cli::jail::UpdateArgs;
use crate::error::Exit;
use crate::exec::{Events, Files, UndoStack, apply};
use crate::model::{EntryKind, HostPath, Request, RootPath, hex};
use crate::plan::jail::{Kept, Update, Wanted, update};
use crate::root::{InRoot, Tree, sum_of};
use crate::sys::{self, signal::Held};
use crate::ui::{Ui, shell_quote};

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
        Some(jail.lock(&what)?)
    };
    let from = HostPath::new(request.from.as_path());
    let tree = open_from(&from)?;
    let content = Content::gather(request, tree.as_ref(), Some(&absolute(&dir)))?;
    let choices = choices(&dir, &request.from);
    let mut wanted = content.wanted(&choices);
    name_owners(tree.as_ref(), wanted.values_mut().map(|one| &mut one.entry));
    let known = jail.known();
    let sums = |path: &RootPath| known.contains(path) || wanted.contains_key(path);
    let found = survey::survey(&jail.root, &sums)?;
    let half = jail.half_made(&found);
    wanted.retain(|path, _| !found.is_covered(path));
    take_sums(&mut wanted, &found.actual, tree.as_ref());
    let old = found.visible(&jail.manifest.entries);
    let update = update(&old, &wanted, &half, &found.actual, &choices);
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
    let counted =
        perform(&jail, request, &content, &update, tree.as_ref(), sync, ui).map_err(|error| {
            failure::step(what, &dir, error)
                .detail("what was replaced before that stays; doing it again goes on from there")
        })?;
    report(&dir, &content, &update, &counted, ui);
    Ok(in_the_way(&dir, &update, ui))
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
    jail: &Jail,
    request: &Request,
    content: &Content,
    update: &Update,
    tree: &dyn Tree,
    sync: bool,
    ui: &Ui,
) -> Result<Counted, crate::exec::ExecError> {
    let target = sys::file::open_directory(jail.root.fd(), std::path::Path::new("."))?;
    let mut files = Files::new(InRoot::from_fd(target), tree);
    files.clear_unfinished()?;
    files.held = Some(Held::new(&super::build::ENDING)?);
    let mut manifest = content.manifest(request);
    manifest.entries.clone_from(&update.plan.entries);
    files.manifest = Some(manifest);
    files.began_from.clone_from(&jail.sum);
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
        take_back(undo, update, &mut files, &mut progress, ui);
        return Err(error);
    }
    undo.keep();
    if sync {
        sys::file::sync_file_system(files.target().fd())?;
    }
    Ok(Counted::of(&files.outcomes))
}

/// Takes new files away again. The record stays while something is not as the manifest says: the
/// next change goes by it.
fn take_back(
    undo: UndoStack,
    update: &Update,
    files: &mut Files<'_>,
    progress: &mut dyn Events,
    ui: &Ui,
) {
    let left = undo.finish(files, progress).err().unwrap_or_default();
    for left in &left {
        ui.warn(&format!("cannot take back: {}: {}", left.step, left.error));
    }
    let lasting = [&update.changed, &update.removed, &update.finished];
    if left.is_empty() && lasting.into_iter().all(Vec::is_empty) {
        // It does no harm where it cannot be removed.
        files.forget_pending().ok();
    }
}

fn report(dir: &HostPath, content: &Content, update: &Update, counted: &Counted, ui: &Ui) {
    let changes = [
        ("new", &update.created),
        ("replaced", &update.changed),
        ("put back", &update.restored),
        ("finished, what an earlier run left", &update.finished),
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

/// What stands where something of the jail should: until it is gone, the jail is not what was
/// asked for.
fn in_the_way(dir: &HostPath, update: &Update, ui: &Ui) -> Exit {
    let mut obstacles = update.kept.iter().filter(|(_, why)| *why == Kept::InTheWay);
    let Some((path, _)) = obstacles.next() else {
        return Exit::Success;
    };
    let place = absolute(dir).show_inside(path);
    let mut aside = place.clone().into_os_string();
    aside.push(".old");
    ui.note(&format!(
        "hint: set it aside, then do this again: mv {} {}",
        shell_quote(&place),
        shell_quote(&aside)
    ));
    Exit::Findings
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
