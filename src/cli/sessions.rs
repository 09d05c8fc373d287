//! `newroot ps`, `exec`, `stop`, `cleanup`: what runs now, and what a dead session left.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// List newroot's sessions on this machine
#[derive(Args, Debug)]
pub struct PsArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Run a command in a session that is running
#[derive(Args, Debug)]
pub struct ExecArgs {
    /// Run as this user of the root's passwd (name, uid, or uid:gid)
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Set a variable, or pass one on by its name
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Start in this directory of the root
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Write how the command ended, as JSON
    #[arg(long, value_name = "FILE")]
    pub status: Option<PathBuf>,
    /// The session, as `newroot ps` shows it; a unique prefix is enough
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// What to run
    #[arg(
        required = true,
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<OsString>,
}

/// End a session and clean up after it
#[derive(Args, Debug)]
pub struct StopArgs {
    /// The session, as `newroot ps` shows it; a unique prefix is enough
    #[arg(value_name = "SESSION")]
    pub session: String,
}

/// Undo what dead sessions left; living ones are never touched
#[derive(Args, Debug)]
pub struct CleanupArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
}
