//! The end of the machine: asked for in the menu, inside the target, or by reboot(2).

use super::Session;
use crate::error::{Exit, Failure};
use crate::exec::enter::{Confirmed, Wish};
use crate::exec::reboot::end_machine;
use crate::ui::Ui;

/// A shell command that ends the machine in its own way; it gets `reboot`, `poweroff` or `halt`.
const INSTEAD: &str = "NEWROOT_REBOOT";

/// Asks; without a terminal the answer is no.
pub(super) fn ask(session: &Session<'_>, wish: Wish) -> anyhow::Result<bool> {
    if !session.ui.can_ask() {
        return Ok(false);
    }
    let question = format!("Finish, and {} this machine?", wish.word());
    Ok(session.ui.yes(&question, None)?)
}

/// Whether a wish from inside counts. reboot(2) there has ended the session and nothing else.
pub(super) fn is_agreed(
    session: &Session<'_>,
    wish: Wish,
    confirmed: Confirmed,
) -> anyhow::Result<bool> {
    if confirmed == Confirmed::Yes {
        return Ok(true);
    }
    session.say(&format!(
        "a program inside called for {}: that ended the session, not this machine",
        wish.word()
    ));
    ask(session, wish)
}

/// Everything is closed: do it.
pub(super) fn now(wish: Wish, ui: &Ui) -> anyhow::Result<Exit> {
    ui.note(&format!("{}: now", wish.word()));
    let instead = std::env::var_os(INSTEAD);
    end_machine(wish, instead.as_deref()).map_err(|error| {
        Failure::new(
            format!("cannot {} this machine", wish.word()),
            error.to_string(),
        )
        .detail("everything is closed; nothing will be lost")
        .hint("by hand", wish.word())
    })?;
    Ok(Exit::Success)
}
