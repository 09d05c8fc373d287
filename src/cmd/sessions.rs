//! What `ps`, `exec`, `stop` and `cleanup` share: finding a session by what was typed.

use crate::error::Failure;
use crate::profile::nearest;
use crate::session::{Entry, Place, list};
use crate::ui::Ui;

/// Every session of this user (none without a place), oldest first; unreadable records are warned about.
///
/// # Errors
/// Those of reading the directory.
pub(super) fn all(place: Option<&Place>, ui: &Ui) -> anyhow::Result<Vec<Entry>> {
    Ok(all_and_whether(place, ui)?.0)
}

/// The same, and whether these are all there are: of an unreadable record nothing is known.
///
/// # Errors
/// As [`all`].
pub(super) fn all_and_whether(
    place: Option<&Place>,
    ui: &Ui,
) -> anyhow::Result<(Vec<Entry>, bool)> {
    let Some(place) = place else {
        return Ok((Vec::new(), true));
    };
    let (entries, unreadable) = list(place)?;
    for error in &unreadable {
        ui.warn(&error.to_string());
    }
    Ok((entries, unreadable.is_empty()))
}

/// The one session whose name begins like this.
///
/// # Errors
/// None, or several.
pub(super) fn one(place: Option<&Place>, name: &str, ui: &Ui) -> anyhow::Result<Entry> {
    let (entries, complete) = all_and_whether(place, ui)?;
    if let Some(exact) = entries.iter().find(|entry| entry.record.id == name) {
        return Ok(exact.clone());
    }
    // Every name begins like an empty one, which is a variable that was not set.
    let begins = |entry: &&Entry| !name.is_empty() && entry.record.id.starts_with(name);
    let mut found = entries.iter().filter(begins);
    let cannot = |why: &str| {
        let shown = crate::ui::shell_quote(std::path::Path::new(name));
        Failure::new(format!("cannot find session {shown}"), why)
    };
    if entries.is_empty() && complete {
        return Err(cannot("no session is running")
            .hint("start one", "newroot enter ROOT")
            .into());
    }
    let Some(first) = found.next() else {
        return Err(with_nearest(cannot("there is none of that name"), name, &entries).into());
    };
    match found.next() {
        None => Ok(first.clone()),
        Some(second) => Err(cannot("several begin like that")
            .detail(format!("{}, {} …", first.record.id, second.record.id))
            .hint("see them all", "newroot ps")
            .into()),
    }
}

/// What was perhaps meant: a session with a name like that, or one in a root of that name.
fn with_nearest(failure: Failure, name: &str, entries: &[Entry]) -> Failure {
    let in_root = entries.iter().find(|entry| {
        let root = &entry.record.root;
        root == std::path::Path::new(name)
            || std::path::absolute(name).is_ok_and(|typed| typed == *root)
    });
    if let Some(entry) = in_root {
        return failure.hint("the session in that root", &entry.record.id);
    }
    // A name ends in some letters of chance: what comes before them counts as well.
    let ids = entries.iter().map(|entry| entry.record.id.as_str());
    let heads = ids
        .clone()
        .filter_map(|id| id.rsplit_once('-').map(|(head, _)| head));
    let near = nearest(name, ids.clone()).or_else(|| {
        nearest(name, heads).and_then(|head| ids.clone().find(|id| id.starts_with(head)))
    });
    let failure = match near {
        Some(id) => failure.hint("the nearest name there is", id),
        None => failure,
    };
    failure.hint("see them all", "newroot ps")
}
