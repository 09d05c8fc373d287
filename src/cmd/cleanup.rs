//! `newroot cleanup`: undoes what dead sessions left; living ones are never touched.

use serde_json::json;

use super::{alone, enter, sessions};
use crate::cli::Globals;
use crate::cli::sessions::CleanupArgs;
use crate::error::Exit;
use crate::exec::sessions::{Fate, clean_up};
use crate::session::{Entry, Item};
use crate::ui::Ui;

pub(super) fn run(args: &CleanupArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let place = enter::known_place()?;
    let all = sessions::all(place.as_ref(), ui)?;
    let standing: Vec<&Entry> = all
        .iter()
        .filter(|entry| !entry.alive && entry.record.standing)
        .collect();
    let dead: Vec<Entry> = all
        .iter()
        .filter(|entry| entry.is_leftover())
        .cloned()
        .collect();
    if globals.dry_run {
        return preview(&dead, ui);
    }
    let _alone = (!dead.is_empty()).then(|| alone::wait(ui));
    let mut incomplete = false;
    let mut list = Vec::new();
    for entry in &dead {
        let id = &entry.record.id;
        let Some(fates) = place
            .as_ref()
            .map(|place| clean_up(place, id))
            .transpose()?
            .flatten()
        else {
            continue;
        };
        let (mut undone, mut left) = (Vec::new(), Vec::new());
        for fate in fates {
            match fate {
                Fate::Undone(what) => undone.push(what),
                Fate::Passed(what, who) => undone.extend([what, who]),
                Fate::Nothing => {}
                Fate::Held(holders) => left.extend(holders.iter().map(enter::describe)),
                Fate::Failed(error) => left.push(format!("{:#}", anyhow::Error::from(error))),
            }
        }
        incomplete |= !left.is_empty();
        list.push(json!({ "session": id, "undone": undone, "left": left }));
        if !args.json {
            tell(id, &undone, &left, ui);
        }
    }
    if let Some(place) = &place {
        place.sweep()?;
    }
    if args.json {
        ui.out(format!("{}\n", serde_json::Value::from(list)).as_bytes())?;
    } else if dead.is_empty() {
        ui.note("nothing to clean up");
    }
    for entry in standing {
        let root = crate::ui::shell_quote(&entry.record.root);
        ui.note(&format!(
            "{}: mounted on purpose, and left. To take it away: newroot umount {root}",
            entry.record.id
        ));
    }
    Ok(if incomplete {
        Exit::CleanupIncomplete
    } else {
        Exit::Success
    })
}

fn tell(id: &str, undone: &[String], left: &[String], ui: &Ui) {
    for what in undone {
        ui.note(&format!("{id}: {what}"));
    }
    for what in left {
        ui.warn(&format!("{id}: {what}"));
    }
    if left.is_empty() {
        ui.note(&format!("{id}: nothing is left of it"));
    }
}

/// The same as shell commands.
pub(super) fn preview(dead: &[Entry], ui: &Ui) -> anyhow::Result<Exit> {
    use crate::ui::shell_quote;
    let mut text = String::new();
    for entry in dead {
        text.push_str(&format!("# session {}\n", entry.record.id));
        for planned in entry.record.items.iter().rev() {
            text.push_str(&match &planned.item {
                Item::StagingPlanned { path } | Item::Staging { path, .. } => {
                    format!("rm -r --one-file-system {}\n", shell_quote(path))
                }
                Item::MountPoint { path } => format!("rmdir {}\n", shell_quote(path)),
                Item::Mapping { name } => {
                    format!("cryptsetup close {}\n", shell_quote(name))
                }
                Item::TargetFile { source, inside, .. } => format!(
                    "# on {}, if it is as newroot made it: rm {}\n",
                    shell_quote(source),
                    shell_quote(inside)
                ),
                Item::Loop { device, .. } => {
                    format!("losetup -d {}\n", shell_quote(device))
                }
                Item::Array { name, .. } => {
                    format!("mdadm --stop {}\n", shell_quote(format!("/dev/md/{name}")))
                }
                Item::Group { uuid, .. } => {
                    format!("vgchange -an --select vg_uuid={}\n", shell_quote(uuid))
                }
                Item::Mount { path, .. } => format!("umount {}\n", shell_quote(path)),
                Item::Namespace { mount, .. } => {
                    format!("lsns {mount}  # who still holds the mount namespace\n")
                }
            });
        }
    }
    ui.out(text.as_bytes())?;
    Ok(Exit::Success)
}
