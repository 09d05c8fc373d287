//! A real Debian to break: made once by debian.sh, kept below the target directory for as long
//! as that script is the same, never written to.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::disk::sh;

const RECIPE: &str = include_str!("debian.sh");
/// Its root filesystem begins behind 1 MiB of table, 1 MiB for GRUB and 64 MiB of ESP.
pub(crate) const ROOT_OFFSET: u64 = (1 + 1 + 64) << 20;

/// The ESP begins behind the table and GRUB.
pub(crate) const ESP_OFFSET: u64 = (1 + 1) << 20;

/// The disk, made when it is not there yet.
pub(crate) fn disk() -> PathBuf {
    let mut hash = DefaultHasher::new();
    RECIPE.hash(&mut hash);
    let name = format!("debian-{:016x}", hash.finish());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&place).unwrap();
    let lock = File::create(place.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let disk = place.join("made.img");
    if !disk.is_file() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/root/doctor/debian.sh");
        let output = Command::new(script).arg(&place).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        fs::rename(place.join("disk.img"), &disk).unwrap();
    }
    disk
}

/// Its root as a directory. A loop device would be a leak for every trial that runs beside.
#[derive(Debug)]
pub(crate) struct Base(PathBuf);

impl Base {
    pub(crate) fn get() -> Self {
        Self(disk().with_file_name("tree.made"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A tree over it that may be written to.
    pub(crate) fn layer(&self) -> Layer {
        let scratch = tempfile::tempdir_in("/tmp").unwrap();
        let at = |name: &str| scratch.path().join(name);
        for name in ["upper", "work", "root"] {
            fs::create_dir(at(name)).unwrap();
        }
        // The upper root directory is the one that is seen.
        sh(&format!("chmod 0755 {}", at("upper").display()));
        sh(&format!(
            "mount -t overlay overlay -o lowerdir={},upperdir={},workdir={} {}",
            self.0.display(),
            at("upper").display(),
            at("work").display(),
            at("root").display()
        ));
        Layer {
            root: at("root"),
            _scratch: scratch,
        }
    }
}

/// A root to break.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) root: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Layer {
    /// Runs a script in it, from its top.
    pub(crate) fn sh(&self, script: &str) {
        sh(&format!("cd {}; {script}", self.root.display()));
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        sh(&format!("umount {}", self.root.display()));
    }
}
