//! A shell of the live system with the target under /mnt, for whoever wants to look and repair
//! from outside: its tools, its network, its services.

use std::ffi::OsString;

use super::Session;
use crate::cmd::enter::{self, Wanted};
use crate::exec::enter::{Entry, InitRoot, Outcome, RootDirectory};
use crate::model::{HostPath, RootPath};
use crate::plan::outside;
use crate::root::{Host, InRoot};
use crate::sys;

/// Where the target is shown.
const AT: &str = "/mnt";

impl Session<'_> {
    /// Runs the live system's own shell.
    pub(super) fn outside(&mut self) -> anyhow::Result<Outcome> {
        let root = HostPath::new("/");
        let label = format!("{}-outside", self.opened.name);
        let chosen = enter::choose(
            &Host,
            &root,
            Wanted {
                words: &[],
                user: None,
                env: &self.args.env,
                given: &own_environment(),
                first_in_path: None,
                name: label.as_ref(),
                directory: Some(AT.as_ref()),
                privileged: true,
                lent: None,
            },
        )?;
        self.say(&format!(
            "{} is under {AT} in this shell only",
            self.opened.name
        ));
        let steps = outside::plan(
            &self.opened.root,
            &RootPath::new(AT),
            !self.writable,
            chosen.command,
        );
        let host = InRoot::open(&root)?;
        let id = sys::fs::meta_of_fd(host.fd())?.id;
        drop(host);
        let entry = Entry {
            root: RootDirectory::Path { path: root, id },
            steps,
            lent: None,
            ends_on_hangup: chosen.is_shell,
            init: InitRoot::Host,
        };
        self.run(entry)
    }
}

/// What the caller's shell has: this is his own system.
fn own_environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| name != "PS1" && name != "PROMPT_COMMAND")
        .collect()
}
