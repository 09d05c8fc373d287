//! `newroot setup`: what has to be allowed once, as root, on some systems.

use clap::{Args, Subcommand};

/// Allow once, as root, what this system forbids newroot
#[derive(Args, Debug)]
pub struct SetupArgs {
    /// What to set up
    #[command(subcommand)]
    pub action: SetupAction,
}

/// `setup apparmor`.
#[derive(Subcommand, Debug)]
pub enum SetupAction {
    /// Install the AppArmor profile that lets newroot make user namespaces (Ubuntu 23.10 and later)
    Apparmor,
}
