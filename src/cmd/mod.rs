//! One file a verb: gather, plan, show or confirm, apply, report. Reads aloud as the policy.
//!
//! A verb returns its [`Exit`]; an error becomes exit 125 unless it is a
//! [`crate::error::Failure`] that says otherwise.

mod alone;
mod cleanup;
mod closure;
mod completions;
mod doctor;
mod enter;
mod exec;
mod export;
mod features;
mod jail;
mod lent;
mod look;
mod menu;
mod mount;
mod open;
mod profile;
mod ps;
mod rescue;
mod scan;
mod sessions;
mod setup;
mod stop;
mod target;
mod umount;
mod unlock;

use crate::cli::{Invocation, Verb};
use crate::error::Exit;
use crate::ui::Ui;

/// Runs one parsed command line.
#[must_use]
pub fn dispatch(invocation: Invocation) -> Exit {
    let ui = Ui::new(&invocation.globals);
    let globals = &invocation.globals;
    let done = match invocation.verb {
        Verb::Menu => menu::run(globals, &ui),
        Verb::Closure(args) => closure::run(&args, &ui),
        Verb::Jail(args) => jail::run(&args, globals, &ui),
        Verb::Enter(args) => enter::run(&args, globals, &ui),
        Verb::Doctor(args) => doctor::run(&args, globals, &ui),
        Verb::Scan(args) => scan::run(&args, globals, &ui),
        Verb::Features(args) => features::run(&args, &ui),
        Verb::Rescue(args) => rescue::run(&args, globals, &ui),
        Verb::Mount(args) => mount::run(&args, globals, &ui),
        Verb::Umount(args) => umount::run(&args, globals, &ui),
        Verb::Ps(args) => ps::run(&args, &ui),
        Verb::Exec(args) => exec::run(&args, globals, &ui),
        Verb::Stop(args) => stop::run(&args, globals, &ui),
        Verb::Cleanup(args) => cleanup::run(&args, globals, &ui),
        Verb::Profile(args) => profile::run(&args, &ui),
        Verb::Setup(args) => setup::run(&args, globals, &ui),
        Verb::Completions(args) => completions::run(&args, &ui),
    };
    match done {
        Ok(exit) => exit,
        Err(error) => ui.failure(&error),
    }
}
