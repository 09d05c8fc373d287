//! `newroot` alone, in a terminal: the first screen. What is chosen runs as the command line that
//! is shown, in a process of its own: a verb may leave its namespaces, the menu must not.

mod ask;
mod leftover;

use std::ffi::OsString;

use super::dispatch;
use crate::cli::{self, Globals, Invocation};
use crate::error::Exit;
use crate::model::Ended;
use crate::probe::surroundings::{BootedBy, Surroundings, surroundings};
use crate::root::Host;
use crate::sys;
use crate::sys::process::Side;
use crate::sys::signal::{Held, INT, QUIT};
use crate::ui::menu::{Entry, Menu, Picked};
use crate::ui::{Ui, shell_quote};

/// Word and text of every entry, in the order of the screen. A verb that this program does not
/// have is left out.
const ENTRIES: [(&str, &str); 11] = [
    (
        "rescue",
        "an installed system does not boot, or I want to get into it",
    ),
    ("doctor", "only look: say what is wrong, change nothing"),
    ("scan", "list the systems installed on this machine's disks"),
    (
        "mount",
        "mount an installed system under /mnt and leave it there",
    ),
    ("umount", "take that away again, and check that it is gone"),
    ("jail", "put a program with all it needs into a directory"),
    ("run", "run a program in such a directory, walled off"),
    ("enter", "work in a directory that serves as /"),
    (
        "libtest",
        "try a program with other versions of its libraries",
    ),
    (
        "features",
        "what this live system lacks, and which package brings it",
    ),
    ("cleanup", "undo what dead sessions left behind"),
];

pub(super) fn run(globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    if !ui.can_ask() || !ui.out_is_terminal() {
        return Ok(crate::ui::usage_error(&cli::without_verb()));
    }
    let mut first = true;
    loop {
        let leftovers = leftover::lines(ui);
        let words = words(!leftovers.is_empty());
        match ui.choose(&menu(&words, leftovers, first), None)? {
            Picked::Entry(index) => in_a_child(words[index], globals, ui)?,
            Picked::Leave | Picked::Interrupted => return Ok(Exit::Success),
        }
        first = false;
    }
}

fn words(has_leftovers: bool) -> Vec<&'static str> {
    let wanted = |word: &&str| cli::knows(word) && (*word != "cleanup" || has_leftovers);
    ENTRIES
        .map(|(word, _)| word)
        .into_iter()
        .filter(wanted)
        .collect()
}

fn menu(words: &[&str], mut foot: Vec<String>, first: bool) -> Menu {
    if !rustix::process::geteuid().is_root() {
        foot.push(String::from(
            "You are not root, and disks are root's. To look at them: sudo newroot",
        ));
    }
    let entries = ENTRIES
        .iter()
        .filter(|(word, _)| words.contains(word))
        .map(|(word, text)| Entry::new(*word, *text, ""));
    Menu {
        head: head(&surroundings(&Host, &sys::process::machine()), first),
        entries: entries.collect(),
        foot,
    }
}

fn head(around: &Surroundings, first: bool) -> Vec<String> {
    let mut line = format!("newroot {} on {}", env!("CARGO_PKG_VERSION"), around.name);
    line.push_str(match around.booted_by {
        BootedBy::Uefi => ", booted by UEFI",
        BootedBy::Bios => ", booted by BIOS",
        BootedBy::Unknown => "",
    });
    line.push_str(if around.network {
        ", with network"
    } else {
        ", no network"
    });
    if let Some(layout) = &around.keyboard {
        line.push_str(&format!(", keyboard \"{layout}\""));
    }
    let mut how = String::from("Type a number or word, then Enter. q or Ctrl-D leaves.");
    if first {
        how.push_str(" No disk was touched yet.");
    }
    vec![line, how]
}

/// Asks what the verb needs and runs it. Ctrl-C is the verb's meanwhile, and not the menu's.
fn in_a_child(word: &str, globals: &Globals, ui: &Ui) -> anyhow::Result<()> {
    let held = Held::new(&[INT, QUIT])?;
    let child = match sys::process::fork()? {
        Side::Child => {
            held.release().ok();
            let done = ask_and_run(word, globals, ui);
            let exit = done.unwrap_or_else(|error| ui.failure(&error));
            sys::process::exit_now(exit.code())
        }
        Side::Parent(child) => child,
    };
    let ended = sys::process::wait_for(child).unwrap_or(Ended::Exited(125));
    while held.next().is_some() {}
    held.release()?;
    ui.note("");
    if ended.status() != 0 {
        ui.note(&format!(
            "({word} ended with exit status {})",
            ended.status()
        ));
    }
    Ok(())
}

fn ask_and_run(word: &str, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let Some(words) = ask::words(word, ui)? else {
        return Ok(Exit::Success);
    };
    let shown: Vec<String> = words.iter().map(shell_quote).collect();
    ui.note(&format!("Without this menu: newroot {}", shown.join(" ")));
    ui.note("");
    let argv: Vec<OsString> = std::iter::once("newroot".into()).chain(words).collect();
    match cli::parse(&argv) {
        Ok(Invocation { verb, .. }) => Ok(dispatch(Invocation {
            globals: globals.clone(),
            verb,
        })),
        Err(error) => Ok(crate::ui::usage_error(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_that_are_not_there_are_left_out() {
        let words = words(false);
        assert!(words.contains(&"jail"));
        assert!(words.iter().all(|word| cli::knows(word)), "{words:?}");
        assert!(!words.contains(&"cleanup"));
        assert!(super::words(true).contains(&"cleanup"));
    }

    #[test]
    fn the_first_line_says_where_one_is() {
        let mut around = Surroundings {
            name: String::from("SystemRescue 12"),
            booted_by: BootedBy::Uefi,
            network: false,
            keyboard: Some(String::from("us")),
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            head(&around, true)[0],
            format!(
                "newroot {version} on SystemRescue 12, booted by UEFI, no network, keyboard \"us\""
            )
        );
        around.booted_by = BootedBy::Unknown;
        around.keyboard = None;
        around.network = true;
        let line = format!("newroot {version} on SystemRescue 12, with network");
        assert_eq!(head(&around, false)[0], line);
        assert!(head(&around, true)[1].ends_with("No disk was touched yet."));
        assert!(head(&around, false)[1].ends_with("leaves."));
    }
}
