//! Tests on the real kernel. Each runs as root in namespaces of its own (`sandbox`), says what it
//! needs (`need`), and must leave nothing behind (`leak`).
//!
//! A file of tests has `pub(crate) fn trials() -> Vec<Trial>`; it is listed in [`all`].
//! `NEWROOT_BIN` names the binary under test, `NEWROOT_MUST_RUN=1` makes a missing need a failure.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests start programs, look at files and talk to the person who runs them"
)]

mod binary;
mod disk;
mod doctor;
mod enter;
mod export;
mod features;
mod fixture;
mod holder;
mod jail;
mod leak;
mod menu;
mod mount;
#[path = "../it/support/need.rs"]
mod need;
mod rescue;
#[path = "../it/support/run.rs"]
mod run;
mod sandbox;
mod scan;
mod selftest;
mod snapshot;
mod strace;
mod tmux;
mod together;
mod trial;

use std::process::ExitCode;

use trial::Trial;

/// Every trial of this binary. Those that take turns are spread among the others, so that no
/// thread waits for its turn while there is something else to run.
fn all() -> Vec<Trial> {
    let scanning = [
        doctor::trials(),
        menu::trials(),
        rescue::trials(),
        mount::trials(),
        scan::trials(),
        together::trials(),
    ]
    .concat();
    let others = [
        selftest::trials(),
        binary::trials(),
        enter::trials(),
        export::trials(),
        features::trials(),
        jail::trials(),
    ]
    .concat();
    let scanning = scanning.into_iter().map(Trial::on_disks);
    let (on_disks, others) = scanning.chain(others).partition(|trial| trial.disks);
    spread(on_disks, others)
}

/// Both lists as one, each in its order and evenly divided.
fn spread(first: Vec<Trial>, second: Vec<Trial>) -> Vec<Trial> {
    let place = |trials: Vec<Trial>| {
        let count = trials.len();
        trials
            .into_iter()
            .enumerate()
            .map(move |(at, trial)| ((2 * at + 1) * 1_000_000 / (2 * count), trial))
    };
    let mut all: Vec<(usize, Trial)> = place(first).chain(place(second)).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, trial)| trial).collect()
}

fn main() -> ExitCode {
    if let Some(stage) = sandbox::stage() {
        return sandbox::inside(&stage, &all());
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = all().into_iter().map(Trial::into_mimic).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
