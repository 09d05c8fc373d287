//! `jail remove`: takes a jail away, unless something is mounted inside or runs there.

use std::collections::BTreeMap;
use std::path::Path;

use super::survey::{self, Jail, Survey};
use super::{absolute, choices, directory, failure};
use crate::cli::Globals;
use crate::cli::jail::RemoveArgs;
use crate::error::{Exit, Failure};
use crate::exec::{ExecError, Files, Machine, clear_directory};
use crate::model::{HostPath, MANIFEST, RootPath, parse_mountinfo};
use crate::plan::jail::{Kept, Update, update};
use crate::plan::{FileOp, Op, Place, Step};
use crate::probe::{FileUser, users_of};
use crate::root::{Host, InRoot, read};
use crate::sys;
use crate::ui::{Ui, shell_quote};

pub(super) fn run(args: &RemoveArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let dir = directory(&args.dir);
    let jail = survey::open("remove", &dir)?;
    let what = format!("cannot remove {dir}");
    let known = jail.known();
    let found = survey::survey(&jail.root, &|path| known.contains(path))?;
    refuse_mounts(&what, &dir, &found)?;
    refuse_users(&what, &found)?;
    let choices = choices(&dir, &jail.manifest.request.from);
    let mut update = update(
        &jail.manifest.entries,
        &BTreeMap::new(),
        &jail.half_made(&found),
        &found.actual,
        &choices,
    );
    // The manifest goes last, and only when nothing is left that it lists; it says all that a
    // removal which is cut short has to know.
    let records = |step: &Step| {
        matches!(
            step.op,
            Op::File(FileOp::Manifest { .. } | FileOp::Pending { .. })
        )
    };
    update.plan.steps.retain(|step| !records(step));
    if globals.dry_run {
        return dry(args.all, &dir, &update, ui);
    }
    let _lock = jail.lock(&what)?;
    let done = if args.all {
        clear_directory(jail.root.fd()).and_then(|()| remove_top(&dir))
    } else {
        take_away(&jail, &update)
    };
    match done {
        Ok(true) => ui.note(&format!("{dir} is gone")),
        Ok(false) => left(&dir, &jail, &update, &found, ui),
        Err(error) => return Err(failure::step(what, &dir, error).into()),
    }
    Ok(Exit::Success)
}

fn dry(all: bool, dir: &HostPath, update: &Update, ui: &Ui) -> anyhow::Result<Exit> {
    let word = shell_quote(dir);
    let text = if all {
        format!("rm -r --one-file-system {word}\n")
    } else {
        let lines: String = update
            .plan
            .steps
            .iter()
            .map(|step| format!("{step}\n"))
            .collect();
        format!("{lines}rm {word}{MANIFEST} && rmdir {word}/.newroot {word}\n")
    };
    ui.out(text.as_bytes())?;
    Ok(Exit::Success)
}

/// Whether the directory itself could go. A mount point, or the working directory, stays.
fn remove_top(dir: &HostPath) -> Result<bool, ExecError> {
    use rustix::io::Errno;
    match sys::file::remove_directory(rustix::fs::CWD, dir.as_path()) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.errno,
                Errno::BUSY | Errno::NOTEMPTY | Errno::INVAL | Errno::NOTDIR
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes what the manifest lists and nobody changed. Whether nothing is left.
fn take_away(jail: &Jail, update: &Update) -> Result<bool, ExecError> {
    let target = sys::file::open_directory(jail.root.fd(), Path::new("."))?;
    let mut files = Files::new(InRoot::from_fd(target), &Host);
    files.clear_unfinished()?;
    for step in &update.plan.steps {
        files.perform(step)?;
    }
    let step = |op: FileOp| Step {
        place: Place::Host,
        op: Op::File(op),
        base: jail.dir.clone(),
    };
    let manifest = RootPath::new(MANIFEST);
    if !update.kept.is_empty() {
        // What is left is still a jail: `remove --all` can end it later.
        let mut rest = jail.manifest.clone();
        rest.entries
            .retain(|entry| update.kept.iter().any(|(path, _)| *path == entry.path));
        files.manifest = Some(rest);
        files.perform(&step(FileOp::Manifest { path: manifest }))?;
        return Ok(false);
    }
    files.forget_pending()?;
    let hidden = manifest.parent();
    files.perform(&step(FileOp::Remove { path: manifest }))?;
    files.perform(&step(FileOp::RemoveDir { path: hidden }))?;
    remove_top(&jail.dir)
}

fn left(dir: &HostPath, jail: &Jail, update: &Update, found: &Survey, ui: &Ui) {
    let listed: std::collections::BTreeSet<&RootPath> =
        jail.manifest.entries.iter().map(|one| &one.path).collect();
    let mut lines: Vec<String> = update
        .kept
        .iter()
        .map(|(path, why)| match why {
            Kept::Edited | Kept::EditedAndUnneeded => format!("{path}: was edited in the jail"),
            Kept::InTheWay => path.to_string(),
        })
        .collect();
    let top = RootPath::root();
    let added = found
        .actual
        .keys()
        .filter(|path| **path != top && !listed.contains(path));
    lines.extend(added.map(|path| format!("{path}: was added after the build")));
    ui.note(&format!(
        "{dir}: {} paths removed; the directory stays",
        update.removed.len()
    ));
    super::report::block(ui, "left", &lines);
    if !lines.is_empty() {
        let hint = if update.kept.is_empty() {
            format!(
                "look, and then: rm -r --one-file-system {}",
                shell_quote(dir)
            )
        } else {
            format!("next: newroot jail remove --all {}", shell_quote(dir))
        };
        ui.note(&hint);
    }
}

fn refuse_mounts(what: &str, dir: &HostPath, found: &Survey) -> anyhow::Result<()> {
    let base = absolute(dir);
    let bytes = read(&Host, &RootPath::new("/proc/self/mountinfo"), 64 << 20).unwrap_or_default();
    let mut points: Vec<String> = parse_mountinfo(&bytes)
        .into_iter()
        .map(|line| line.point)
        .filter(|point| point.starts_with(base.as_path()) && point != base.as_path())
        .map(|point| point.display().to_string())
        .collect();
    points.extend(
        found
            .mounted
            .iter()
            .map(|path| base.show_inside(path).display().to_string()),
    );
    points.sort();
    points.dedup();
    if points.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(what, "something is mounted inside");
    for point in &points {
        failure = failure.detail(point.clone());
    }
    for point in points.iter().rev() {
        failure = failure.hint(
            "take it off",
            format!("umount {}", shell_quote(Path::new(point))),
        );
    }
    Err(failure.into())
}

fn refuse_users(what: &str, found: &Survey) -> anyhow::Result<()> {
    let users = users_of(&found.ids);
    if users.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(what, "it is in use");
    for FileUser { pid, program, how } in &users {
        failure = failure.detail(format!("{program}, pid {pid}: {how}"));
    }
    Err(failure
        .hint("sessions of newroot", "newroot ps")
        .hint("end one of them", "newroot stop SESSION")
        .into())
}
