//! Tests that need no privilege, one binary.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests start programs, look at files and talk to the person who runs them"
)]

mod apparmor;
mod corpus;
mod elf;
mod export;
mod export_modules;
mod harness;
mod help;
mod jail;
mod journal;
mod layers;
mod man;
mod packages;
mod profile;
mod rescue;
mod support;
mod tree;
