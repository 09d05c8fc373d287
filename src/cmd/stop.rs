//! `newroot stop`: ends a session and waits until it is cleaned up.

use super::{enter, sessions};
use crate::cli::Globals;
use crate::cli::sessions::StopArgs;
use crate::error::{Exit, Failure};
use crate::exec::sessions::stop;
use crate::ui::Ui;

pub(super) fn run(args: &StopArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let place = enter::known_place()?;
    let entry = sessions::one(place.as_ref(), &args.session, ui)?;
    let record = entry.record;
    if record.standing {
        let root = crate::ui::shell_quote(&record.root);
        return Err(
            Failure::new(format!("cannot stop {}", record.id), "nothing runs in it")
                .hint("take its mounts away", format!("newroot umount {root}"))
                .into(),
        );
    }
    if !entry.alive {
        return Err(Failure::new(
            format!("cannot stop {}", record.id),
            "its process is dead already",
        )
        .hint("undo what it left", "newroot cleanup")
        .into());
    }
    if globals.dry_run {
        ui.out(format!("kill -TERM {}\n", record.supervisor.pid).as_bytes())?;
        return Ok(Exit::Success);
    }
    stop(&record).map_err(|error| {
        Failure::new(
            format!("cannot stop {}", record.id),
            crate::sys::describe(error.errno),
        )
        .hint(
            "end it the hard way",
            format!("kill -KILL {}", record.supervisor.pid),
        )
        .caused_by(error)
    })?;
    let id = &record.id;
    let left = sessions::all(place.as_ref(), ui)?
        .into_iter()
        .find(|entry| entry.record.id == *id);
    let Some(left) = left else {
        ui.note(&format!("session {id} ended; nothing is left of it"));
        return Ok(Exit::Success);
    };
    if left.alive && left.record.supervisor != record.supervisor {
        ui.note(&format!(
            "session {id} ended; another one has its name by now"
        ));
        return Ok(Exit::Success);
    }
    ui.warn(&format!(
        "session {id} ended, and not everything of it is gone"
    ));
    ui.note("hint: see what, and finish: newroot cleanup");
    Ok(Exit::CleanupIncomplete)
}
