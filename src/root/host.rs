//! The running system as a tree: plain system calls, the kernel resolves.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use super::{Tree, TreeFile};
use crate::model::{Meta, RootPath};
use crate::sys::fs;

/// The caller's own `/`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

impl Tree for Host {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        fs::open_to_read(rustix::fs::CWD, path.as_path()).map(TreeFile::Fd)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        fs::stat_at(rustix::fs::CWD, path.as_path())
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        fs::lstat_at(rustix::fs::CWD, path.as_path())
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        fs::read_link_at(rustix::fs::CWD, path.as_path())
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let directory = fs::open_directory(rustix::fs::CWD, path.as_path())?;
        fs::list_directory(directory)
    }
}
