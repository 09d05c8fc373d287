//! `newroot rescue` on a directory: what is inside, the menu, and that nothing is left.

mod hostile;
mod image;
mod inside;
mod kill;
mod menu;
mod sessions;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::fixture;
use crate::run::{Run, newroot};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        hostile::trials(),
        image::trials(),
        inside::trials(),
        kill::trials(),
        menu::trials(),
        sessions::trials(),
    ]
    .concat()
}

/// A small Debian with busybox at /mnt/r, called web03.
fn target() -> PathBuf {
    let root = PathBuf::from("/mnt/r");
    fixture::busybox_root(&root);
    as_debian(&root);
    for name in ["true", "kill", "env", "grep", "sh", "umount"] {
        symlink("busybox", root.join("bin").join(name)).ok();
    }
    root
}

/// Gives a root what Debian has.
fn as_debian(root: &Path) {
    for directory in ["usr/sbin", "etc/kernel", "boot", "var"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    let release = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";
    fs::write(root.join("etc/os-release"), release).unwrap();
    fs::write(root.join("etc/hostname"), "web03\n").unwrap();
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(root.join("etc/kernel/cmdline"), "root=UUID=3f2a ro\n").unwrap();
}

/// `newroot rescue WORDS`.
fn rescue(words: &[&str]) -> Run {
    newroot([&["rescue"], words].concat())
}

/// Runs a shell script in /mnt/r, read-write.
fn inside(script: &str) -> Run {
    rescue(&["--read-write", "/mnt/r", "--", "sh", "-c", script])
}

/// Records and locks of sessions; logs stay.
fn records() -> Vec<PathBuf> {
    fs::read_dir("/run/newroot")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "log"))
        .collect()
}
