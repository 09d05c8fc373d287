//! `newroot umount`: takes away what `mount` put there, verified, also after a crash.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{alone, cleanup, enter, sessions};
use crate::cli::Globals;
use crate::cli::mount::UmountArgs;
use crate::error::{Exit, Failure};
use crate::exec::sessions::{Fate, clean_up};
use crate::model::RootPath;
use crate::root::{Host, canonical};
use crate::session::Entry;
use crate::ui::{Ui, shell_quote};

pub(super) fn run(args: &UmountArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let place = enter::place()?;
    let entries = sessions::all(Some(&place), ui)?;
    let found = find(&entries, &args.target)?;
    refuse_under_others(found, &entries)?;
    if globals.dry_run {
        return cleanup::preview(std::slice::from_ref(found), ui);
    }
    let root = found.record.root.display().to_string();
    let looking = alone::wait(ui);
    let cleaned = clean_up(&place, &found.record.id)?;
    drop(looking);
    let Some(fates) = cleaned else {
        let what = format!("cannot unmount {root}");
        return Err(Failure::new(what, "somebody else is just doing that")
            .hint("see whether it is done", "newroot ps")
            .into());
    };
    Ok(report(&root, &found.record.id, fates, ui))
}

/// The mounts that were meant.
fn find<'e>(entries: &'e [Entry], typed: &OsStr) -> anyhow::Result<&'e Entry> {
    let text = typed.to_string_lossy();
    let path = real(Path::new(typed));
    let ours = entries.iter().filter(|entry| entry.record.kind == "mount");
    let by_place = |entry: &&Entry| path.as_ref() == Some(&entry.record.root);
    let by_name = |entry: &&Entry| {
        let names = entry.record.names.iter();
        let mut names = names.chain([&entry.record.id]);
        let path = path.as_ref().map(|path| path.display().to_string());
        names.any(|name| *name == *text || Some(name) == path.as_ref())
    };
    let begins = |entry: &&Entry| {
        let id = entry.record.names.first();
        !text.is_empty() && id.is_some_and(|id| id.starts_with(&*text))
    };
    let rules: [&dyn Fn(&&Entry) -> bool; 3] = [&by_place, &by_name, &begins];
    for rule in rules {
        let fits: Vec<&Entry> = ours.clone().filter(|entry| rule(entry)).collect();
        match fits.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let what = format!("cannot tell which mount {text} means");
                let failure = Failure::new(what, "several fit");
                let failure = several.iter().fold(failure, |failure, entry| {
                    failure.detail(entry.record.root.display().to_string())
                });
                return Err(failure
                    .hint("name the directory", "newroot umount DIR")
                    .into());
            }
        }
    }
    let what = format!("cannot unmount {text}");
    let failure = Failure::new(what, "newroot has not mounted it");
    let failure = if ours.clone().next().is_some() {
        failure.hint("see what newroot has mounted", "newroot ps")
    } else {
        failure
    };
    let failure = ours.fold(failure, |failure, entry| {
        let record = &entry.record;
        let name = record
            .names
            .first()
            .map_or(record.id.as_str(), String::as_str);
        failure.detail(format!("{}  {name}", record.root.display()))
    });
    let quoted = shell_quote(typed);
    Err(failure
        .hint("what somebody else mounted", format!("umount -R {quoted}"))
        .into())
}

fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let real = canonical(&Host, &RootPath::new(&path));
    Some(real.map_or(path, |real| real.as_path().to_path_buf()))
}

/// Nobody's session loses its ground.
fn refuse_under_others(found: &Entry, entries: &[Entry]) -> Result<(), Failure> {
    let root = &found.record.root;
    let shown = root.display();
    let living = entries
        .iter()
        .find(|entry| entry.alive && entry.record.root.starts_with(root));
    let Some(living) = living else {
        return Ok(());
    };
    let record = &living.record;
    let failure = Failure::new(
        format!("cannot unmount {shown}"),
        format!("session {} works there", record.id),
    )
    .detail(format!(
        "newroot {} in {}, process {}",
        record.kind,
        record.root.display(),
        record.supervisor.pid
    ));
    Err(if record.id == found.record.id {
        failure.hint(
            "it is still being mounted; later",
            format!("newroot umount {shown}"),
        )
    } else {
        failure.hint(
            "end that session first",
            format!("newroot stop {}", record.id),
        )
    })
}

fn report(root: &str, id: &str, fates: Vec<Fate>, ui: &Ui) -> Exit {
    let mut mounts = 0;
    let mut left = false;
    let mut taken = Vec::new();
    for fate in fates {
        match fate {
            Fate::Undone(what) => {
                mounts += usize::from(what.starts_with("unmounted "));
                ui.detail(&what);
            }
            Fate::Passed(what, who) => {
                mounts += 1;
                ui.detail(&what);
                taken.push(who);
            }
            Fate::Nothing => {}
            Fate::Held(holders) => {
                left = true;
                for holder in &holders {
                    ui.warn(&enter::describe(holder));
                }
                if holders.is_empty() {
                    ui.warn("something is still in use, and nobody was found who uses it");
                }
            }
            Fate::Failed(error) => {
                left = true;
                ui.warn(&format!("{:#}", anyhow::Error::from(error)));
            }
        }
    }
    if left {
        ui.note(&format!(
            "{root} is not wholly unmounted (session {id}); nothing was forced"
        ));
        ui.note(&format!(
            "hint: when those have ended: newroot umount {}",
            shell_quote(root)
        ));
        return Exit::CleanupIncomplete;
    }
    let mounts = match mounts {
        1 => "1 mount".to_string(),
        count => format!("{count} mounts"),
    };
    if taken.is_empty() {
        ui.note(&format!(
            "Closed: {mounts} gone from {root}, its devices are free (checked). This machine is as before."
        ));
        return Exit::Success;
    }
    ui.note(&format!(
        "Closed: {mounts} gone from {root}, nothing of newroot's is left there."
    ));
    for who in taken {
        ui.note(&format!("  since then: {who}"));
    }
    Exit::Success
}
