//! `newroot stop`: ends a session and waits until it is cleaned up.

use super::{enter, sessions};
use crate::cli::Globals;
use crate::cli::sessions::StopArgs;
use crate::error::{Exit, Failure};
use crate::exec::sessions::stop;
use crate::ui::Ui;

pub(super) fn run(args: &StopArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let place = enter::place()?;
    let entry = sessions::one(&place, &args.session, ui)?;
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
    let left = sessions::all(&place, ui)?
        .into_iter()
        .any(|entry| entry.record.id == record.id);
    if left {
        ui.warn(&format!(
            "session {} ended, and somebody still holds it",
            record.id
        ));
        ui.note("hint: see who, and finish: newroot cleanup");
        return Ok(Exit::CleanupIncomplete);
    }
    ui.note(&format!(
        "session {} ended; nothing is left of it",
        record.id
    ));
    Ok(Exit::Success)
}
