//! `newroot profile`: the TOML profiles that jails are made from.

use clap::{Args, Subcommand};

/// List and show jail profiles
#[derive(Args, Debug)]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub action: ProfileAction,
}

/// `profile list|show`.
#[derive(Subcommand, Debug)]
pub enum ProfileAction {
    /// List the profiles, with where each comes from
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Print a profile
    Show {
        /// A profile's name, or a file
        #[arg(value_name = "NAME")]
        name: String,
    },
}
