//! `newroot jail` as a normal user meets it: roots made of a few files, real programs of this
//! machine, and what must not happen. Runs as root too; only what both may do is expected.

mod build;
mod change;
mod hostile;
mod plan;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::newroot;
use crate::support::run::Run;

/// A directory for one test, with a place for records in it.
pub(super) struct Ground {
    top: tempfile::TempDir,
}

impl Ground {
    pub(super) fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("run")).unwrap();
        fs::create_dir(top.path().join("root")).unwrap();
        Self { top }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// `newroot jail …` in this directory.
    pub(super) fn jail(&self, args: &[&str]) -> Run {
        let args = std::iter::once("jail").chain(args.iter().copied());
        newroot(args)
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .cwd(self.top.path())
    }

    /// A file of the root `root`, with the directories above it.
    pub(super) fn file(&self, path: &str, content: &str) -> PathBuf {
        let full = self.path("root").join(path.trim_start_matches('/'));
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, content).unwrap();
        full
    }

    /// A link of the root `root`.
    pub(super) fn link(&self, path: &str, target: &str) {
        let full = self.path("root").join(path.trim_start_matches('/'));
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, full).unwrap();
    }

    /// Everything in `top` but what the caller put there, by name.
    pub(super) fn names(&self) -> Vec<String> {
        names(self.top.path())
    }

    /// The manifest's entry of a path.
    pub(super) fn entry(&self, jail: &str, path: &str) -> Option<serde_json::Value> {
        let text = fs::read(self.path(jail).join(".newroot/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let entries = manifest["entries"].as_array().unwrap();
        entries.iter().find(|entry| entry["path"] == path).cloned()
    }
}

pub(super) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
