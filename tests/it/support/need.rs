//! What a test needs from the machine, and what happens when it is not there.
//!
//! A missing need is never a silent pass. With `NEWROOT_MUST_RUN=1` (what `tests/run` sets) it
//! fails the test; otherwise the test says so on stderr and in the file `NEWROOT_SKIPPED` names,
//! from which `tests/run` counts.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One thing a test cannot do without. Each has a probe that tries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Effective uid 0.
    Root,
    /// User namespaces for uid 65534 (or for whoever runs the tests, where that is not root).
    UserNs,
    /// A free loop device.
    Loop,
    /// A filesystem type that the kernel knows.
    Fs(&'static str),
    /// A program in PATH or the sbin directories.
    Command(&'static str),
    /// A file or directory of the machine.
    File(&'static str),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::UserNs => f.write_str("user namespaces"),
            Self::Loop => f.write_str("loop devices"),
            Self::Fs(name) => write!(f, "filesystem {name}"),
            Self::Command(name) => write!(f, "command {name}"),
            Self::File(path) => write!(f, "file {path}"),
        }
    }
}

impl Need {
    /// Why it is not there, or nothing.
    pub(crate) fn missing(self) -> Option<String> {
        let there = match self {
            Self::Root => rustix::process::geteuid().is_root(),
            Self::UserNs => user_namespaces(),
            Self::Loop => succeeds(&["losetup", "--find"]),
            Self::Fs(name) => knows_filesystem(name) || succeeds(&["modprobe", name]),
            Self::Command(name) => find_program(name).is_some(),
            Self::File(path) => fs::metadata(path).is_ok(),
        };
        (!there).then(|| format!("no {self} here"))
    }
}

/// `NEWROOT_MUST_RUN=1`: a missing need is a failure.
pub(crate) fn must_run() -> bool {
    std::env::var_os("NEWROOT_MUST_RUN").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Says that a test did not run, where the reader and `tests/run` find it.
pub(crate) fn report_skip(test: &str, why: &str) {
    eprintln!("skipped {test}: {why}");
    let Some(file) = std::env::var_os("NEWROOT_SKIPPED") else {
        return;
    };
    let mut file = fs::OpenOptions::new().append(true).open(file).unwrap();
    writeln!(file, "{test}: {why}").unwrap();
}

/// Looks a program up as a shell would; sbin too, which a user's PATH may lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"])
        .map(|directory| Path::new(directory).join(name))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file()))
}

fn knows_filesystem(name: &str) -> bool {
    fs::read_to_string("/proc/filesystems")
        .is_ok_and(|text| text.split_whitespace().any(|word| word == name))
}

fn user_namespaces() -> bool {
    if rustix::process::geteuid().is_root() {
        succeeds(&[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "unshare",
            "-Ur",
            "true",
        ])
    } else {
        succeeds(&["unshare", "-Ur", "true"])
    }
}

fn succeeds(argv: &[&str]) -> bool {
    Command::new(argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
