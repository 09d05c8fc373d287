//! One newroot at a time looks into the disks: a look that is open makes a mount fail, and what is
//! just being mounted or closed cannot be looked into.

use std::time::{Duration, Instant};

use super::enter;
use crate::session::Alone;
use crate::sys;
use crate::ui::Ui;

/// A look takes a second or two. One that takes longer (a doctor on a slow disk, a question that
/// nobody answers) is not waited for: what it holds is shown as in use.
const PATIENCE: Duration = Duration::from_secs(30);
/// A wait that somebody notices is explained.
const NOTICED: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until no other newroot looks into the disks. `None`: it goes without.
pub(super) fn wait(ui: &Ui) -> Option<Alone> {
    wait_unless(ui, || Ok::<(), std::convert::Infallible>(()))
        .ok()
        .flatten()
}

/// The same, as long as `stop` does not say otherwise.
///
/// # Errors
/// Those of `stop`.
pub(super) fn wait_unless<E>(
    ui: &Ui,
    mut stop: impl FnMut() -> Result<(), E>,
) -> Result<Option<Alone>, E> {
    // Who may not mount has no look that is in anybody's way.
    if !sys::process::may_mount() {
        return Ok(None);
    }
    let Ok(place) = enter::place() else {
        return Ok(None);
    };
    let begun = Instant::now();
    let mut told = false;
    loop {
        match place.alone() {
            Ok(None) if begun.elapsed() < PATIENCE => {}
            Ok(alone) => return Ok(alone),
            Err(error) => {
                tracing::warn!(%error, "looks without a lock");
                return Ok(None);
            }
        }
        stop()?;
        if !told && begun.elapsed() >= NOTICED {
            ui.note("waiting: another newroot is just looking into the disks (see: newroot ps)");
            told = true;
        }
        std::thread::sleep(PAUSE);
    }
}
