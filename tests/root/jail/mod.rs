//! `newroot jail` as root on the real kernel: programs that run in what was built, privileges,
//! full and read-only file systems, mount points, and death in the middle.

mod content;
mod death;
mod loader;
mod profiles;
mod shared;
mod target;

use std::path::Path;
use std::process::{Command, Output};

use crate::run::{Run, newroot};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        content::trials(),
        death::trials(),
        loader::trials(),
        profiles::trials(),
        shared::trials(),
        target::trials(),
    ]
    .concat()
}

/// `newroot jail …`.
pub(crate) fn jail(args: &[&str]) -> Run {
    newroot(std::iter::once("jail").chain(args.iter().copied())).cwd("/tmp")
}

/// Runs a command in a root by plain chroot(8), with nothing mounted.
pub(crate) fn in_root(root: &str, argv: &[&str]) -> Output {
    Command::new("chroot")
        .arg(root)
        .args(argv)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .output()
        .unwrap()
}

/// The same, which must succeed; its standard output.
#[track_caller]
pub(crate) fn works(root: &str, argv: &[&str]) -> String {
    let output = in_root(root, argv);
    assert!(output.status.success(), "{argv:?} in {root}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
pub(crate) fn command(argv: &[&str]) {
    let output = Command::new(argv[0]).args(&argv[1..]).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {output:?}");
}

pub(crate) fn names(directory: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn is_there(path: &str) -> bool {
    std::fs::symlink_metadata(Path::new(path)).is_ok()
}
