//! Runs the programs that make kernels, trees and disks.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The Debian package that brings a program; for the error when it is absent.
const PACKAGES: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mmdebstrap", "mmdebstrap"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("mcopy", "mtools"),
    ("mke2fs", "e2fsprogs"),
    ("sfdisk", "fdisk"),
    ("depmod", "kmod"),
];

/// A command whose output is kept for the error.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Runs it; its standard output, or an error with everything that it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let result = command.output().with_context(|| match package(&program) {
        Some(package) => format!("{program} does not start (apt-get install {package})"),
        None => format!("{program} does not start"),
    })?;
    if !result.status.success() {
        bail!(
            "{command:?}: {}\n{}{}",
            result.status,
            String::from_utf8_lossy(&result.stdout),
            String::from_utf8_lossy(&result.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}

/// Runs a program with these arguments.
pub(crate) fn run<I: AsRef<OsStr>>(program: &str, arguments: &[I]) -> Result<String> {
    output(command(program).args(arguments))
}

/// The same in a directory.
pub(crate) fn run_in(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    output(command(program).args(arguments).current_dir(directory))
}

fn package(program: &str) -> Option<&'static str> {
    let found = PACKAGES.iter().find(|(name, _)| *name == program);
    found.map(|(_, package)| *package)
}
