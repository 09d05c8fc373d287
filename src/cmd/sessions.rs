//! What `ps`, `exec`, `stop` and `cleanup` share: finding a session by what was typed.

use crate::error::Failure;
use crate::session::{Entry, Place, list};
use crate::ui::Ui;

/// Every session of this user, oldest first; unreadable records are warned about.
///
/// # Errors
/// Those of reading the directory.
pub(super) fn all(place: &Place, ui: &Ui) -> anyhow::Result<Vec<Entry>> {
    let (entries, unreadable) = list(place)?;
    for error in unreadable {
        ui.warn(&error.to_string());
    }
    Ok(entries)
}

/// The one session whose name begins like this.
///
/// # Errors
/// None, or several.
pub(super) fn one(place: &Place, name: &str, ui: &Ui) -> anyhow::Result<Entry> {
    let entries = all(place, ui)?;
    if let Some(exact) = entries.iter().find(|entry| entry.record.id == name) {
        return Ok(exact.clone());
    }
    let mut found = entries
        .into_iter()
        .filter(|entry| entry.record.id.starts_with(name));
    let cannot = |why: &str| {
        Failure::new(format!("cannot find session {name}"), why).hint("see them all", "newroot ps")
    };
    let first = found.next().ok_or_else(|| cannot("there is none"))?;
    match found.next() {
        None => Ok(first),
        Some(second) => Err(cannot("several begin like that")
            .detail(format!("{}, {} …", first.record.id, second.record.id))
            .into()),
    }
}
