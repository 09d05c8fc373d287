//! `newroot ps`: this user's sessions.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{enter, sessions};
use crate::cli::sessions::PsArgs;
use crate::error::Exit;
use crate::session::Entry;
use crate::ui::{Ui, escape_bytes, table};

pub(super) fn run(args: &PsArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let place = enter::known_place()?;
    let (entries, complete) = sessions::all_and_whether(place.as_ref(), ui)?;
    if args.json {
        let list: Vec<serde_json::Value> = entries
            .iter()
            .map(|entry| json!({ "alive": entry.alive, "record": entry.record }))
            .collect();
        ui.out(format!("{}\n", serde_json::Value::from(list)).as_bytes())?;
        return Ok(Exit::Success);
    }
    if !entries.is_empty() {
        show(&entries, ui)?;
    } else if complete {
        ui.note("no session is running. To start one: newroot enter ROOT");
    }
    let outputs = place.map_or_else(|| Ok(Vec::new()), |place| place.outputs())?;
    for (id, path) in outputs {
        let path = path.display();
        let ended = !entries.iter().any(|entry| entry.record.id == id);
        let ended = if ended { ", and it has ended" } else { "" };
        ui.note(&format!(
            "{id}: its terminal went away{ended}; what it wrote: less -R {path}"
        ));
    }
    Ok(Exit::Success)
}

fn show(entries: &[Entry], ui: &Ui) -> anyhow::Result<()> {
    let head = ["SESSION", "KIND", "ROOT", "COMMAND", "PID", "SINCE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(row));
    ui.out(table(&rows).as_bytes())?;
    if entries.iter().any(Entry::is_leftover) {
        ui.note("a dead session left something behind. To undo it: newroot cleanup");
    }
    Ok(())
}

fn row(entry: &Entry) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;
    let record = &entry.record;
    let words: Vec<String> = record
        .command
        .iter()
        .map(|word| escape_bytes(word.as_bytes()))
        .collect();
    let command = if record.kind == "mount" {
        record
            .names
            .first()
            .map(|id| escape_bytes(id.as_bytes()))
            .unwrap_or_default()
    } else if words.is_empty() {
        String::from("(shell)")
    } else {
        words.join(" ")
    };
    let pid = if entry.alive {
        record.supervisor.pid.to_string()
    } else if record.standing {
        String::from("stands")
    } else {
        String::from("dead")
    };
    vec![
        record.id.clone(),
        record.kind.clone(),
        escape_bytes(record.root.as_os_str().as_bytes()),
        command,
        pid,
        ago(record.created),
    ]
}

/// "3 min": a clock time would need the time zone of whoever reads it.
pub(super) fn ago(created: u64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(created, |since| since.as_secs());
    let seconds = now.saturating_sub(created);
    match seconds {
        0..=59 => format!("{seconds} s ago"),
        60..=3599 => format!("{} min ago", seconds / 60),
        3600..=86_399 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}
