//! The figures of the README, measured in one run: `tests/run bench [closure|small|jail|doctor]`.
//!
//! Ratios only: contenders run in turn on the same files, medians are compared. Exit 1 when a
//! limit is missed. A peer that is not installed is named and skipped; `LIBTREE` may name a
//! libtree that was built by hand, and `NEWROOT_BIN` another newroot.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench starts programs, looks at files and prints figures"
)]

#[path = "../root/doctor/debian.rs"]
mod debian;
mod files;
mod measure;
mod suites;
mod table;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A name, and what measures it.
type Suite = (&'static str, fn(&Bench) -> Vec<table::Row>);

/// Where things are.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) newroot: PathBuf,
    /// Scratch on the filesystem of the target directory, not a tmpfs.
    pub(crate) scratch: PathBuf,
    pub(crate) timed: PathBuf,
    pub(crate) probe: PathBuf,
    pub(crate) empty: PathBuf,
}

impl Bench {
    fn new(scratch: &Path) -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench");
        let built = || env!("CARGO_BIN_EXE_newroot").into();
        let newroot = std::env::var_os("NEWROOT_BIN").unwrap_or_else(built);
        Self {
            newroot: installed(&PathBuf::from(newroot), scratch),
            scratch: scratch.to_owned(),
            timed: compile_c(&sources.join("timed.c"), scratch, &["-static"]),
            probe: compile_c(&sources.join("probe.c"), scratch, &[]),
            empty: installed(&compile_empty(scratch), scratch),
        }
    }
}

/// A copy, as `install` makes it. What a linker wrote lies in the page cache page by page, and
/// starts a tenth of a millisecond slower than the same file copied.
fn installed(program: &Path, scratch: &Path) -> PathBuf {
    let directory = scratch.join("bin");
    std::fs::create_dir_all(&directory).unwrap();
    let copy = directory.join(program.file_name().unwrap());
    std::fs::copy(program, &copy).unwrap();
    copy
}

fn compile_c(source: &Path, scratch: &Path, flags: &[&str]) -> PathBuf {
    let program = scratch.join(source.file_stem().unwrap());
    let mut command = Command::new("cc");
    must(
        command
            .arg("-O2")
            .args(flags)
            .arg("-o")
            .arg(&program)
            .arg(source),
    );
    program
}

/// The smallest program newroot could be: static, does nothing.
fn compile_empty(scratch: &Path) -> PathBuf {
    let (source, program) = (scratch.join("empty.rs"), scratch.join("empty"));
    std::fs::write(&source, "fn main() {}\n").unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let flags = [
        "-O",
        "-C",
        "target-feature=+crt-static",
        "-C",
        "strip=symbols",
    ];
    let mut command = Command::new(rustc);
    must(command.args(flags).arg("-o").arg(&program).arg(&source));
    program
}

fn must(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn main() -> ExitCode {
    // cargo bench passes --bench; any other word picks suites.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let target = OsStr::new(env!("CARGO_TARGET_TMPDIR"));
    let scratch = tempfile::Builder::new()
        .prefix("bench.")
        .tempdir_in(target)
        .unwrap();
    measure::spread(scratch.path());
    let bench = Bench::new(scratch.path());
    let suites: [Suite; 4] = [
        ("closure", suites::closure),
        ("small", suites::small),
        ("jail", suites::jail),
        ("doctor", suites::doctor),
    ];
    let chosen: Vec<_> = suites.iter().filter(|(name, _)| wanted(name)).collect();
    let rows: Vec<table::Row> = chosen.iter().flat_map(|(_, suite)| suite(&bench)).collect();
    table::print(&rows);
    let kept = !rows.is_empty() && rows.iter().all(table::Row::kept);
    ExitCode::from(u8::from(!kept))
}
