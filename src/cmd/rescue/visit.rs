//! Into the target once: a shell or a command, and out again.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use super::{Session, inside};
use crate::cli::enter::{DevKind, EntryOptions};
use crate::cli::rescue::RescueArgs;
use crate::cmd::enter::{self, Asked, Ready};
use crate::cmd::lent::Lending;
use crate::exec::enter::{Entry, InitRoot, Outcome, RootDirectory};
use crate::exec::{Events, put_in_target, take_from_target};
use crate::model::RootPath;
use crate::plan::Step;
use crate::plan::enter::rescue::{NO_SERVICE, POLICY, environment};
use crate::session::{ItemId, Log};
use crate::ui::Ui;

/// A log is read by people: the content of a file is cut off.
const LONGEST: usize = 200;

/// What `enter` has for the same.
pub(super) fn options(args: &RescueArgs) -> EntryOptions {
    EntryOptions {
        bind: args.bind.clone(),
        user: args.user.clone(),
        env: args.env.clone(),
        workdir: args.workdir.clone(),
        // A rescue works on devices, whatever the target is.
        dev: Some(DevKind::Host),
        ..EntryOptions::default()
    }
}

impl Session<'_> {
    /// Runs `words` in the target, or its shell; says what it left behind. With lent tools where
    /// its own do not start.
    pub(super) fn visit(&mut self, words: &[OsString], lent: bool) -> anyhow::Result<Outcome> {
        let root = enter::open(self.opened.root.as_path())?;
        let lending = lent.then(|| Lending::gather(&root.path)).transpose()?;
        let (mut inside, notes) =
            inside::look(&root.tree, self.opened.system.as_ref(), !self.writable);
        for note in notes {
            self.say(&format!("note: {note}"));
        }
        if lent {
            // There is a shell that can ask, whatever the target has.
            inside.shims.get_or_insert_default();
        }
        let ready = enter::prepare(
            &root.tree,
            &root.path,
            Asked {
                options: &options(self.args),
                words,
                given: &environment(),
                binds: &[],
                rescue: Some(&inside),
                name: self.opened.name.as_ref(),
                privileged: true,
                lent: lending.as_ref(),
            },
        )?;
        let directory = RootDirectory::Path {
            path: root.path.clone(),
            id: root.id,
        };
        // An open directory would keep the target from being unmounted.
        drop(root);
        let tools = lending.map(|it| it.make(&self.ui)).transpose()?;
        self.enter(directory, ready, tools, words)
    }

    /// Enters what is ready, and tidies up after it.
    pub(super) fn enter(
        &mut self,
        root: RootDirectory,
        ready: Ready,
        tools: Option<OwnedFd>,
        words: &[OsString],
    ) -> anyhow::Result<Outcome> {
        for note in &ready.plan.notes {
            self.say(&format!("note: {note}"));
        }
        self.log.say(&format!("runs {}", shown(words)));
        let policy = self.forbid_services()?;
        let outcome = self.run(Entry {
            root,
            steps: ready.plan.steps,
            lent: tools,
            ends_on_hangup: ready.is_shell,
            init: InitRoot::Host,
        });
        self.allow_services(policy);
        outcome
    }

    /// Runs a program in namespaces of its own; the session is idle again afterwards.
    pub(super) fn run(&mut self, entry: Entry) -> anyhow::Result<Outcome> {
        let steps = entry.steps.clone();
        let mut events = Told(&self.ui, &self.log);
        let outcome = crate::exec::enter::run(entry, self.namespaces, &mut self.live, &mut events);
        // The supervisor held back more than this session does, Ctrl-Z among it.
        self.signals.hold_again()?;
        self.live.set_idle()?;
        match outcome {
            Ok(outcome) => {
                self.log.say(&format!("ended: {:?}", outcome.ended));
                for holder in &outcome.holders {
                    self.warn(&enter::describe(holder));
                }
                Ok(outcome)
            }
            Err(error) => {
                self.log.say(&format!("did not run: {error}"));
                Err(enter::entry_failure(error, &steps, &self.opened.root).into())
            }
        }
    }

    /// Where the target is a Debian without a policy of its own, and may be written. A policy
    /// that is there is covered by a mount instead (see [`inside::look`]).
    fn forbid_services(&mut self) -> anyhow::Result<Option<ItemId>> {
        let system = self.opened.system.as_ref();
        let is_debian = system.is_some_and(|system| system.facts.os.is_like("debian"));
        if !self.writable || !is_debian {
            return Ok(None);
        }
        let path = RootPath::new(POLICY);
        let root = &self.opened.root;
        Ok(put_in_target(
            root,
            &path,
            NO_SERVICE,
            0o755,
            &mut self.live,
        )?)
    }

    fn allow_services(&mut self, policy: Option<ItemId>) {
        let Some(id) = policy else {
            return;
        };
        if let Err(error) = take_from_target(&mut self.live, id) {
            self.warn(&format!("{POLICY} of the target stays: {error}"));
        }
    }
}

/// The words of a command, as the log has them.
fn shown(words: &[OsString]) -> String {
    if words.is_empty() {
        return String::from("a shell");
    }
    let words: Vec<String> = words.iter().map(crate::ui::shell_quote).collect();
    words.join(" ")
}

/// `-v` shows each operation; the log has each in any case.
pub(super) struct Told<'a>(pub(super) &'a Ui, pub(super) &'a Log);

impl Events for Told<'_> {
    fn begins(&mut self, _step: &Step) {}

    fn done(&mut self, step: &Step) {
        let text = step.to_string();
        self.0.detail(&text);
        let line = match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{} ...", &text[..end]),
            None => text,
        };
        self.1.say(&line);
    }

    fn undone(&mut self, _step: &Step) {}

    fn noted(&mut self, text: &str) {
        self.1.say(&format!("note: {text}"));
        self.0.note(&format!("note: {text}"));
    }
}
