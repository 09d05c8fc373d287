//! `newroot enter`, alias `chroot`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Work in a root: mounts what it needs, runs a command, leaves nothing behind
///
/// No walls: the command may do what you may do. See `newroot run` for walls.
#[derive(Args, Debug)]
pub struct EnterArgs {
    #[command(flatten)]
    pub entry: EntryOptions,
    /// Take this system's tools along, for a root whose own do not start
    #[arg(long)]
    pub lent: bool,
    /// The directory that serves as /
    #[arg(value_name = "ROOT")]
    pub root: PathBuf,
    /// What to run; without it the root's own root shell
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<OsString>,
}

/// How a root is entered; shared by `enter` and `jail try` (and later by `rescue`).
#[derive(Args, Debug, Default, Clone)]
pub struct EntryOptions {
    /// pivot_root (the old root is gone) or plain chroot
    #[arg(long, value_name = "MODE", default_value = "pivot")]
    pub mode: Mode,
    /// Show SRC of the host at DST in the root
    #[arg(short, long, value_name = "SRC[:DST[:ro]]")]
    pub bind: Vec<OsString>,
    /// Run as this user of the root's passwd (name, uid, or uid:gid)
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Set a variable, or pass one on by its name
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Start in this directory of the root
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// The host's /dev, or a minimal one (default: host; minimal in a jail)
    #[arg(long, value_name = "KIND")]
    pub dev: Option<DevKind>,
    /// Mount /sys writable
    #[arg(long)]
    pub sys_rw: bool,
    /// Write how the command ended, as JSON
    #[arg(long, value_name = "FILE")]
    pub status: Option<PathBuf>,
}

/// `--mode`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// pivot_root(2) in a mount namespace of its own.
    #[default]
    Pivot,
    /// chroot(2) in a mount namespace of its own.
    Chroot,
}

/// `--dev`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevKind {
    /// The host's devices.
    Host,
    /// null, zero, full, random, urandom, tty, ptmx, pts, shm.
    Minimal,
}
