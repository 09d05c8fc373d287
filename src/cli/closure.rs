//! `newroot closure`, alias `ldd`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Show what a program loads, without executing anything
///
/// Lists every shared object that the loader would open for each FILE, found by the loader's own
/// rules (glibc or musl, chosen by the program's interpreter). Nothing is executed.
#[derive(Args, Debug)]
pub struct ClosureArgs {
    /// Resolve inside this root instead of /
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    pub format: Format,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Only show the chains that bring this object in
    #[arg(long, value_name = "SONAME")]
    pub why: Option<OsString>,
    /// Read and show .note.dlopen notes: what a program loads later, if it is there
    #[arg(long)]
    pub notes: bool,
    /// End each path with a NUL instead of a newline, for xargs -0 (only with --format paths)
    #[arg(short = '0', long)]
    pub null: bool,
    /// Search these directories as LD_LIBRARY_PATH would (the environment's own is ignored)
    #[arg(long, value_name = "DIRS")]
    pub library_path: Option<OsString>,
    /// Load these first, as LD_PRELOAD would (the environment's own is ignored)
    #[arg(long, value_name = "FILES")]
    pub preload: Option<OsString>,
    /// Programs, libraries or scripts
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `--format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Who needs whom, with the rule that found each object.
    Tree,
    /// One path a line, sorted: what to copy.
    Paths,
    /// For programs.
    Json,
    /// For graphviz.
    Dot,
}
