//! `newroot rescue`: into an installed system, and out again without a trace.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::open::OpenOptions;

/// Get into an installed system: a guided menu, or one command
///
/// Opens the system read-only first. It is mounted read-write for a shell or a command, after a
/// typed yes or with --read-write.
#[derive(Args, Debug)]
pub struct RescueArgs {
    #[command(flatten)]
    pub open: OpenOptions,
    /// Show SRC of this live system at DST in the target
    #[arg(short, long, value_name = "SRC[:DST[:ro]]")]
    pub bind: Vec<OsString>,
    /// Run as this user of the target's passwd (name, uid, or uid:gid)
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Set a variable, or pass one on by its name
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Start in this directory of the target
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Take this live system's tools along, for a target whose own do not start
    #[arg(long)]
    pub lent: bool,
    /// Write how the command ended, as JSON
    #[arg(long, value_name = "FILE", requires = "command")]
    pub status: Option<PathBuf>,
    /// The system: id, hostname, device, UUID=, LABEL=, directory, image (default: the only one)
    #[arg(value_name = "TARGET")]
    pub target: Option<OsString>,
    /// What to run in it; without it the menu
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<OsString>,
}
