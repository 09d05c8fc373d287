//! Where a case works: the cache of what takes long to make, and a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// Paths and patience; every case gets one.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// What is made once and kept: kernels, live systems.
    pub(crate) cache: PathBuf,
    /// The case's own files; the runner removes it afterwards.
    pub(crate) scratch: PathBuf,
    /// Every limit is multiplied by this (`VM_PATIENCE`, for slow machines).
    patience: f64,
}

impl Bench {
    pub(crate) fn new(case: &str) -> Result<Bench> {
        let cache = cache();
        let scratch = scratch(case);
        for directory in [&cache, &scratch] {
            fs::create_dir_all(directory)
                .with_context(|| format!("mkdir {}", directory.display()))?;
        }
        let patience = match std::env::var("VM_PATIENCE") {
            Ok(text) => text.parse().context("VM_PATIENCE is no number")?,
            Err(_) => 1.0,
        };
        Ok(Bench {
            cache,
            scratch,
            patience,
        })
    }

    /// So many seconds, on a machine as fast as the one this was written on.
    pub(crate) fn seconds(&self, seconds: u32) -> Duration {
        Duration::from_secs(seconds.into()).mul_f64(self.patience)
    }

    /// A file of the case's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm")
}

/// The directory of a case's own files.
pub(crate) fn scratch(case: &str) -> PathBuf {
    cache().join("scratch").join(case.replace('/', "-"))
}

/// Where a case's log is kept: what it said, and what the machine's consoles said.
pub(crate) fn log(case: &str, what: &str) -> PathBuf {
    cache()
        .join("log")
        .join(format!("{}.{what}", case.replace('/', "-")))
}

/// The static binary under test: `NEWROOT_BIN` if set, else the one built with these tests.
pub(crate) fn newroot() -> PathBuf {
    match std::env::var_os("NEWROOT_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_BIN_EXE_newroot")),
    }
}
