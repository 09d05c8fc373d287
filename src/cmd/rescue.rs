//! `newroot rescue`: open read-only, look, name what is in the way; then one command or the
//! menu; then close, verify, report.
//!
//! Signals that would end newroot are held back from the first deed to the last: whatever comes,
//! what was opened is closed again.

mod inside;
mod menu;
mod outside;
mod preview;
mod reboot;
mod report;
mod screen;
mod visit;
mod warnings;

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::cli::Globals;
use crate::cli::rescue::RescueArgs;
use crate::cmd::enter;
use crate::cmd::open::{Access, Choices, Closed, Opened, Visible, signal_of};
use crate::error::{Exit, Failure};
use crate::exec::enter::{Namespaces, Outcome, Wish, unshare};
use crate::session::{Live, Log, New};
use crate::sys;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::{Ui, shell_quote};
use warnings::Warning;

/// A rescue from its beginning to its end.
struct Session<'a> {
    args: &'a RescueArgs,
    ui: Ui,
    live: Live,
    signals: Held,
    namespaces: Namespaces,
    opened: Opened,
    log: Log,
    /// A yes was given: the target may be written.
    writable: bool,
    warnings: Vec<Warning>,
    /// A shell of the target can start.
    has_shell: bool,
}

/// What came of opening.
enum Begun<'a> {
    Open(Box<Session<'a>>),
    /// A signal came before it was done; everything is closed again.
    Signal(i32),
}

/// How the middle part ended.
enum End {
    /// A command ran.
    Command(Outcome),
    /// The menu was left.
    Left,
    /// The machine shall end; the last question was answered.
    Wish(Wish),
    /// A signal came while nothing ran.
    Signal(i32),
}

pub(super) fn run(args: &RescueArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let status = args.status.as_deref().filter(|_| !globals.dry_run);
    enter::with_status(status, ui, |status| rescue(args, globals, status, ui))
}

fn rescue(
    args: &RescueArgs,
    globals: &Globals,
    status: Option<&enter::Status>,
    ui: &Ui,
) -> anyhow::Result<Exit> {
    if globals.dry_run {
        return preview::run(args, ui);
    }
    if !sys::process::may_mount() {
        return Err(needs_root(args).into());
    }
    if args.command.is_empty() && !ui.can_ask() {
        return Err(no_menu(args).into());
    }
    let mut session = match Session::begin(args, ui)? {
        Begun::Open(session) => *session,
        Begun::Signal(signal) => return Ok(Exit::signalled(u8::try_from(signal).unwrap_or(0))),
    };
    let done = if args.command.is_empty() {
        menu::run(&mut session)
    } else {
        session.command()
    };
    conclude(session, done, status)
}

impl<'a> Session<'a> {
    fn begin(args: &'a RescueArgs, ui: &Ui) -> anyhow::Result<Begun<'a>> {
        let place = enter::place()?;
        let signals = Held::new(&[INT, TERM, HUP])?;
        let ui = ui.clone().minding(signals.fd().try_clone_to_owned()?);
        let shown = shown_root(args.target.as_deref());
        let mut live = Live::create(
            &place,
            New {
                kind: "rescue",
                root: shown,
                command: args.command.clone(),
            },
        )?;
        let opened = open(args, &ui, &mut live);
        let (namespaces, opened) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                live.finish()?;
                if let Some(signal) = signal_of(&error, &signals) {
                    ui.note("interrupted; nothing was changed");
                    return Ok(Begun::Signal(signal));
                }
                return Err(error);
            }
        };
        let log = match Log::open(&place, &opened.name) {
            Ok(log) => log,
            Err(error) => {
                let closed = opened.finish(&mut live, &ui);
                live.finish()?;
                let _closed = closed?;
                return Err(error.into());
            }
        };
        let warnings = warnings::of(&opened);
        let has_shell = warnings::has_shell(&opened);
        let session = Self {
            args,
            ui,
            live,
            signals,
            namespaces,
            opened,
            log,
            writable: false,
            warnings,
            has_shell,
        };
        session.log.say(&format!(
            "rescue of {} in {}, opened read-only, session {}",
            session.opened.name,
            session.opened.root,
            session.live.id()
        ));
        Ok(Begun::Open(Box::new(session)))
    }

    /// Somebody worked in the target: what was in the way may be repaired, and more be broken.
    fn read_again(&mut self) {
        self.opened.read_again();
        self.warnings = warnings::of(&self.opened);
        self.has_shell = warnings::has_shell(&self.opened);
    }

    /// `rescue TARGET -- COMMAND`
    fn command(&mut self) -> anyhow::Result<End> {
        for line in screen::warnings(&self.opened.mounts, &self.warnings) {
            self.say(&line);
        }
        if !self.args.open.read_only && !self.may_write()? {
            let what = format!("the command was not run in {}", self.opened.name);
            return Err(Failure::new(what, "the answer was no; nothing was changed")
                .hint("only to look", self.typed("--read-only -- COMMAND"))
                .into());
        }
        let outcome = self.visit(&self.args.command, self.args.lent)?;
        if let Some((wish, confirmed)) = outcome.wish
            && reboot::is_agreed(self, wish, confirmed)?
        {
            return Ok(End::Wish(wish));
        }
        Ok(End::Command(outcome))
    }

    /// Whether the target may be written from here on: asks, where nobody said so yet.
    fn may_write(&mut self) -> anyhow::Result<bool> {
        if self.writable || self.args.open.read_only {
            return Ok(self.writable);
        }
        if !self.args.open.read_write && !self.ui.assume_yes() {
            if !self.ui.can_ask() {
                return Err(self.nobody_says_yes().into());
            }
            let question = if self.opened.adopted {
                format!("Write in {} ({})?", self.opened.name, self.opened.root)
            } else {
                format!("Mount {} read-write?", self.opened.name)
            };
            if !self.ui.yes(&question, None)? {
                return Ok(false);
            }
        }
        self.opened.read_write(&mut self.live, &self.ui)?;
        self.writable = true;
        self.log.say("read-write from here on");
        Ok(true)
    }

    fn nobody_says_yes(&self) -> Failure {
        let what = format!("cannot open {} read-write", self.opened.name);
        Failure::new(what, "there is no terminal to ask for a yes in")
            .detail("nothing was changed")
            .hint(
                "if it may be written",
                self.typed("--read-write -- COMMAND"),
            )
            .hint("only to look", self.typed("--read-only -- COMMAND"))
    }

    /// `newroot rescue web03 REST`
    fn typed(&self, rest: &str) -> String {
        typed(self.args.target.as_deref(), rest)
    }

    /// A line for the person and for the log.
    fn say(&self, line: &str) {
        self.log.say(line);
        self.ui.note(line);
    }

    fn warn(&self, line: &str) {
        self.log.say(&format!("warning: {line}"));
        self.ui.warn(line);
    }

    /// Unmounts, closes, verifies, and says so.
    fn close(self) -> anyhow::Result<Closed> {
        let Self {
            ui,
            mut live,
            opened,
            log,
            ..
        } = self;
        let id = live.id().to_owned();
        let closed = opened.finish(&mut live, &ui);
        let ended = live.finish();
        let closed = closed?;
        ended?;
        let mut line = format!("Closed: {}.", closed.lines.join("; "));
        if !closed.incomplete {
            line.push_str(" This machine is as before.");
        }
        log.say(&line);
        ui.note(&line);
        for holder in &closed.holders {
            let line = enter::describe(holder);
            log.say(&line);
            ui.warn(&line);
        }
        if closed.incomplete {
            ui.note(&format!(
                "hint: when they have ended, close the rest: newroot cleanup  (session {id})"
            ));
        }
        Ok(closed)
    }
}

fn open(args: &RescueArgs, ui: &Ui, live: &mut Live) -> anyhow::Result<(Namespaces, Opened)> {
    let namespaces =
        unshare(false).map_err(|error| enter::namespaces_failure(&error, "open the target"))?;
    let choices = Choices::new(&args.open);
    let opened = Opened::open(
        args.target.as_deref(),
        &choices,
        Access::ReadOnly,
        Visible::Session,
        live,
        ui,
    )?;
    Ok((namespaces, opened))
}

/// Closes in any case, then decides what the caller's shell sees. The first error is what counts;
/// a second one does not vanish.
fn conclude(
    session: Session<'_>,
    done: anyhow::Result<End>,
    status: Option<&enter::Status>,
) -> anyhow::Result<Exit> {
    let ui = session.ui.clone();
    let name = session.opened.name.clone();
    let writable = session.writable;
    let closed = session.close();
    let end = match done {
        Ok(end) => end,
        Err(error) => {
            if let Err(second) = closed {
                ui.warn(&format!("{name} is not closed completely: {second:#}"));
                ui.note("hint: close the rest: newroot cleanup");
            }
            return Err(error);
        }
    };
    let closed = closed?;
    let left = if closed.incomplete {
        Exit::CleanupIncomplete
    } else {
        Exit::Success
    };
    match end {
        End::Command(mut outcome) => {
            outcome.holders.extend(closed.holders);
            if let Some(status) = status {
                status.write(&outcome)?;
            }
            Ok(match enter::exit(&outcome) {
                Exit::Success => left,
                other => other,
            })
        }
        End::Left => {
            if writable && left == Exit::Success {
                ui.note("Next: take the live medium out, then: reboot");
            } else if left == Exit::Success {
                ui.note("Next: nothing was changed; to come back: newroot rescue");
            }
            Ok(left)
        }
        End::Wish(wish) if left == Exit::Success => reboot::now(wish, &ui),
        End::Wish(wish) => {
            ui.warn(&format!("no {} as long as something is open", wish.word()));
            Ok(left)
        }
        End::Signal(signal) => Ok(Exit::signalled(u8::try_from(signal).unwrap_or(0))),
    }
}

/// What `newroot ps` shows as the root: a path in full, a name as it was typed.
fn shown_root(target: Option<&OsStr>) -> PathBuf {
    match target {
        Some(target) if target.as_encoded_bytes().contains(&b'/') => {
            std::path::absolute(target).unwrap_or_else(|_| target.into())
        }
        Some(target) => target.into(),
        None => PathBuf::from("target"),
    }
}

fn typed(target: Option<&OsStr>, rest: &str) -> String {
    match target {
        Some(target) => format!("newroot rescue {} {rest}", shell_quote(target)),
        None => format!("newroot rescue {rest}"),
    }
}

fn needs_root(args: &RescueArgs) -> Failure {
    let rest = if args.command.is_empty() {
        ""
    } else {
        "-- COMMAND"
    };
    let command = typed(args.target.as_deref(), rest);
    Failure::new(
        "cannot rescue a system",
        "only root may open disks and mount them",
    )
    .hint("as root", format!("sudo {}", command.trim_end()))
    .hint("a directory of your own", "newroot enter DIR")
}

fn no_menu(args: &RescueArgs) -> Failure {
    Failure::new(
        "cannot show the menu",
        "standard input or standard error is no terminal",
    )
    .hint(
        "run one command, and let it write",
        typed(args.target.as_deref(), "--read-write -- COMMAND"),
    )
    .hint(
        "run one command, only to look",
        typed(args.target.as_deref(), "--read-only -- COMMAND"),
    )
}
