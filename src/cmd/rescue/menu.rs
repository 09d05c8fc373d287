//! The guided menu (screens.md, screen 3). Entries whose verb does not exist are not shown.

use super::report::Looked;
use super::{End, Session, reboot, screen};
use crate::exec::enter::{Outcome, Wish};
use crate::ui::menu::{Entry, Menu, Picked};

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Shell,
    Lent,
    Report,
    Outside,
    Finish,
    Reboot,
}

/// Shows the menu until it is left.
pub(super) fn run(session: &mut Session<'_>) -> anyhow::Result<End> {
    let mut looked = session.look();
    loop {
        let (deeds, menu) = offer(session, looked.as_ref());
        let picked = session.ui.choose(&menu, None)?;
        let index = match picked {
            Picked::Entry(index) => index,
            Picked::Leave => return Ok(End::Left),
            Picked::Interrupted => {
                return Ok(End::Signal(session.signals.next().unwrap_or(0)));
            }
        };
        let Some(deed) = deeds.get(index) else {
            continue;
        };
        // What fails does not close the menu: the next try may be another one.
        match perform(session, *deed) {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => {}
            Err(error) => {
                session.log.say(&format!("failed: {error:#}"));
                // Its exit status is none of the menu's.
                let _status = session.ui.failure(&error);
            }
        }
        if *deed != Deed::Report {
            session.read_again();
            looked = session.look();
        }
        session.ui.note("");
    }
}

fn offer(session: &Session<'_>, looked: Option<&Looked>) -> (Vec<Deed>, Menu) {
    let name = &session.opened.name;
    let shell = if session.writable {
        format!("root shell inside {name}")
    } else if session.args.open.read_only {
        format!("root shell inside {name}, read-only")
    } else {
        format!("root shell inside {name} (asks, then mounts read-write)")
    };
    let target = session.args.target.as_ref();
    let target = target.map(|target| format!(" {}", crate::ui::shell_quote(target)));
    let target = target.unwrap_or_default();
    let list = [
        (
            Deed::Shell,
            Entry::new("shell", shell, session.typed("-- bash")),
        ),
        (
            Deed::Lent,
            Entry::new(
                "lent",
                format!("root shell inside {name}, with tools of this live system"),
                session.typed("--lent -- bash"),
            ),
        ),
        (
            Deed::Report,
            Entry::new(
                "report",
                "the doctor's report",
                format!("newroot doctor{target}"),
            ),
        ),
        // Repairs come here as soon as there is a verb for them.
        (
            Deed::Outside,
            Entry::new(
                "outside",
                format!("a shell of this live system, {name} mounted under /mnt"),
                format!("newroot mount{target} /mnt"),
            ),
        ),
        (
            Deed::Finish,
            Entry::new("finish", "unmount, close, verify", ""),
        ),
        (
            Deed::Reboot,
            Entry::new("reboot", "finish, then reboot", ""),
        ),
    ];
    let list = list
        .into_iter()
        .filter(|(deed, _)| *deed != Deed::Lent || offers_lent(session));
    let (deeds, entries) = list.unzip();
    let menu = Menu {
        head: screen::head(session, looked),
        entries,
        foot: vec![format!("Without this menu: {}", session.typed("-- bash"))],
    };
    (deeds, menu)
}

/// Where its own shell does not run. With `--lent` every shell has them.
fn offers_lent(session: &Session<'_>) -> bool {
    !session.args.lent && !session.has_shell
}

fn perform(session: &mut Session<'_>, deed: Deed) -> anyhow::Result<Option<End>> {
    match deed {
        Deed::Shell => {
            session.may_write()?;
            let outcome = session.visit(&[], session.args.lent)?;
            after(session, &outcome)
        }
        Deed::Lent => {
            session.may_write()?;
            let outcome = session.visit(&[], true)?;
            after(session, &outcome)
        }
        Deed::Report => {
            session.report()?;
            Ok(None)
        }
        Deed::Outside => {
            session.may_write()?;
            let outcome = session.outside()?;
            after(session, &outcome)
        }
        Deed::Finish => Ok(Some(End::Left)),
        Deed::Reboot => {
            let agreed = reboot::ask(session, Wish::Reboot)?;
            Ok(agreed.then_some(End::Wish(Wish::Reboot)))
        }
    }
}

/// A shell has ended: back to the menu, unless it wanted more, or newroot was told to end.
fn after(session: &mut Session<'_>, outcome: &Outcome) -> anyhow::Result<Option<End>> {
    if let Some(signal) = outcome.told {
        return Ok(Some(End::Signal(signal)));
    }
    if let Some((wish, confirmed)) = outcome.wish
        && reboot::is_agreed(session, wish, confirmed)?
    {
        return Ok(Some(End::Wish(wish)));
    }
    Ok(None)
}
