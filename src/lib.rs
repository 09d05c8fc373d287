//! newroot: everything that happens behind another root directory.
//!
//! One idea carries every verb: *know exactly what a program needs (`elf`), decide everything as
//! data first (`plan`), change the machine in one place (`exec`), and be able to undo it
//! whatever happens (undo stack and session record).*
//!
//! # The map of this house
//!
//! Data comes in at the top and goes down once.
//!
//! | floor | module | what it is for |
//! |---|---|---|
//! | people | [`cli`] | what a person types: clap types, one file a verb; no I/O |
//! | | [`cmd`] | one file a verb: gather, plan, show or confirm, apply, report |
//! | | [`ui`] | the only module that prints or asks |
//! | facts | [`model`] | plain types everyone shares |
//! | | [`root`] | a root as a type; trait [`root::Tree`] with Host, InRoot, Mem and Layer |
//! | | [`elf`] | what a program needs; pure over a Tree |
//! | | [`probe`] | reads the machine, changes nothing |
//! | | [`profile`] | TOML profiles: model, parser, the built-in ones |
//! | decisions | [`doctor`] | facts become findings; pure |
//! | | [`plan`] | facts and choices become a list of operations; pure |
//! | deeds | [`tool`] | external programs |
//! | | [`session`] | the record of what outlives a process |
//! | | [`image`] | a root as one file: tar, cpio, OCI, squashfs |
//! | | [`exec`] | the only module that changes the machine; emits events, never prints |
//! | | [`sys`] | the only unsafe code; thin typed wrappers over system calls |
//!
//! Beside them `link` says how the release program is linked; it is part of no program.
//!
//! Who may import whom is a table in `tests/it/layers.rs`, checked against the source.
//!
//! # Invariants
//!
//! 1. A verb that changes something builds a plan first; `-n` prints exactly those operations.
//! 2. The supervisor unshares its mount namespace once (slave to the host); the init it forks has
//!    a mount and PID namespace of its own.
//! 3. A path inside a foreign root is a [`model::RootPath`] and is resolved by [`root`] only.
//! 4. Guards end in `finish(self) -> Result`; `Drop` is the logged fallback.
//! 5. Nothing is removed recursively across a mount; only what newroot made is removed.
//! 6. What outlives the process is in a session record, written before the deed.
//! 7. No thread lives in a process that forks or unshares.
//! 8. Kernel abilities are tried, never derived from a version.
//! 9. No name service: users and groups come from the root's own files.

pub mod cli;
pub mod cmd;
pub mod doctor;
pub mod elf;
pub mod error;
pub mod exec;
pub mod image;
pub mod model;
pub mod plan;
pub mod probe;
pub mod profile;
pub mod root;
pub mod session;
pub mod sys;
pub mod tool;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line and returns the exit status of design section 4.
///
/// `argv` includes the program's name.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    ui::explain_panics();
    let argv: Vec<OsString> = argv.into_iter().collect();
    // A lent tool's shim is this program under another name, and takes every argument.
    if let Some(name) = exec::lent_name() {
        let Err(error) = exec::become_lent(&name, argv);
        return ui::fatal(&error, error::Exit::NotRunnable).into();
    }
    match cli::parse(&argv) {
        Ok(invocation) => cmd::dispatch(invocation).into(),
        Err(error) => ui::usage_error(&error).into(),
    }
}
