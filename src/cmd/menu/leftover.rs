//! What dead sessions left, for the first screen.

use crate::cmd::{enter, ps, sessions};
use crate::session::{Item, Record};
use crate::ui::{Ui, escape_bytes};

/// A screen is 24 lines.
const SHOWN: usize = 4;

/// A line for each thing, and how to undo it; empty when nothing is left. A place that cannot be
/// read is a warning: the menu comes all the same.
pub(super) fn lines(ui: &Ui) -> Vec<String> {
    let entries = enter::known_place().and_then(|place| sessions::all(place.as_ref(), ui));
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            ui.warn(&format!("{error:#}"));
            return Vec::new();
        }
    };
    let dead = entries.iter().filter(|entry| !entry.alive);
    let left: Vec<String> = dead.flat_map(|entry| of(&entry.record)).collect();
    if left.is_empty() {
        return left;
    }
    let mut lines: Vec<String> = left.iter().take(SHOWN).cloned().collect();
    if left.len() > SHOWN {
        lines.push(format!("and {} more", left.len() - SHOWN));
    }
    if let Some(last) = lines.last_mut() {
        last.push_str(". To undo: newroot cleanup");
    }
    lines
}

fn of(record: &Record) -> Vec<String> {
    // Without items the namespaces took everything with them.
    let since = ps::ago(record.created);
    record
        .items
        .iter()
        .map(|planned| format!("Left over from {since}: {}", describe(&planned.item)))
        .collect()
}

fn describe(item: &Item) -> String {
    use std::os::unix::ffi::OsStrExt;
    let shown = |path: &std::path::Path| escape_bytes(path.as_os_str().as_bytes());
    match item {
        Item::StagingPlanned { path } | Item::Staging { path, .. } => {
            format!("an unfinished jail in {}", shown(path))
        }
        Item::MountPoint { path } => format!("the mount point {}", shown(path)),
        Item::Namespace { .. } => String::from("mounts that a process still holds"),
        Item::TargetFile { path, .. } => format!("{} in a target", shown(path)),
        Item::Mapping { name } => format!("LUKS \"{name}\" still open"),
        Item::Mount { path, .. } => format!("{} still mounted", shown(path)),
        Item::Loop { file, .. } => format!("a loop device of {}", shown(file)),
        Item::Array { name, .. } => format!("the array {name}"),
        Item::Group { name, .. } => format!("the volume group {name}"),
    }
}
