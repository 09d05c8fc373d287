//! Processes that are in the way: one that holds a directory, one that only waits.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A process whose working directory keeps a filesystem busy; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Holder(Child);

impl Holder {
    /// Stands in `directory`.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        let child = Command::new("sleep")
            .arg("1000")
            .current_dir(directory)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// Has `file` open, and nothing else has.
    pub(crate) fn of_file(file: File) -> Self {
        let child = Command::new("sleep").arg("1000").stdin(file).spawn();
        Self(child.unwrap())
    }

    /// Its process id in the sandbox.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
