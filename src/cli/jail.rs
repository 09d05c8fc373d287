//! `newroot jail`: a program with all it needs, in a directory that serves as `/`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::enter::EntryOptions;
use super::export::ExportArgs;

/// Put programs with all they need into a directory that works as /
#[derive(Args, Debug)]
pub struct JailArgs {
    /// What to do
    #[command(subcommand)]
    pub action: JailAction,
}

/// `jail build|add|try|check|update|show|export|remove`.
#[derive(Subcommand, Debug)]
pub enum JailAction {
    /// Make a new jail in DIR
    Build(BuildArgs),
    /// Add programs to a jail that exists
    Add(BuildArgs),
    /// Enter a throw-away jail in memory; it is gone with its last process
    Try(TryArgs),
    /// Compare a jail with its manifest, and resolve its programs again inside it
    Check(CheckArgs),
    /// Bring in what changed on the host since the jail was built
    Update(UpdateArgs),
    /// List what a jail holds, and why
    Show(ShowArgs),
    Export(ExportArgs),
    /// Remove a jail
    Remove(RemoveArgs),
}

/// What goes into a jail.
#[derive(Args, Debug, Default, Clone)]
pub struct ContentOptions {
    /// Take this profile too (a name, see `newroot profile list`, or a file)
    #[arg(short, long, value_name = "NAME|FILE")]
    pub profile: Vec<String>,
    /// Take programs from this root instead of /
    #[arg(long, value_name = "ROOT")]
    pub from: Option<PathBuf>,
    /// Keep set-id bits and file capabilities
    #[arg(long)]
    pub keep_privileges: bool,
    /// Add this user of --from to the jail's passwd and group
    #[arg(long = "with-user", value_name = "USER")]
    pub with_user: Vec<String>,
}

/// `jail build` and `jail add`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    pub content: ContentOptions,
    /// Write everything to the disk before reporting success
    #[arg(long)]
    pub sync: bool,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Programs by name or path, and other files by path
    #[arg(value_name = "PROGRAM|PATH")]
    pub items: Vec<PathBuf>,
}

/// `jail try`.
#[derive(Args, Debug)]
pub struct TryArgs {
    #[command(flatten)]
    pub content: ContentOptions,
    #[command(flatten)]
    pub entry: EntryOptions,
    /// Programs by name or path
    #[arg(value_name = "PROGRAM")]
    pub items: Vec<PathBuf>,
    /// What to run in it; without it the profile's command, else the first program
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `jail check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `jail update`.
#[derive(Args, Debug)]
pub struct UpdateArgs {
    /// Write everything to the disk before reporting success
    #[arg(long)]
    pub sync: bool,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `jail show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `jail remove`.
#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// Also remove files that were added or edited after the build
    #[arg(long)]
    pub all: bool,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
