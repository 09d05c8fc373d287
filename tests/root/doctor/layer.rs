//! The Debian as a directory, and layers over it that may be broken.

use std::fs;
use std::path::{Path, PathBuf};

use super::debian::disk;
use crate::disk::sh;

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
