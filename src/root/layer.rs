//! Another tree with some paths replaced or hidden: what libtest lays over a root before it
//! asks the ELF engine, and what doctor uses to ask "what if this file were gone".
//!
//! A path is matched after its links are resolved in the tree below, so that `/lib/x` and
//! `/usr/lib/x` are one file on a merged-/usr system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{Host, Tree, TreeFile, walk};
use crate::model::{HostPath, Meta, RootPath};

/// A tree seen through a list of changes.
#[derive(Debug)]
pub struct Layer<T> {
    below: T,
    changes: BTreeMap<RootPath, Change>,
}

#[derive(Debug)]
enum Change {
    Hidden,
    Replaced(HostPath),
}

impl<T: Tree> Layer<T> {
    /// A layer without changes.
    pub fn over(below: T) -> Self {
        Self {
            below,
            changes: BTreeMap::new(),
        }
    }

    /// Makes `path` absent.
    pub fn hide(&mut self, path: &RootPath) {
        let key = self.key(path);
        self.changes.insert(key, Change::Hidden);
    }

    /// Puts the host's file `with` at `path`, whether the tree below has that name or not.
    pub fn replace(&mut self, path: &RootPath, with: HostPath) {
        let key = self.key(path);
        self.changes.insert(key, Change::Replaced(with));
    }

    /// The canonical name of `path`: the file's own when it exists, else its directory's.
    fn key(&self, path: &RootPath) -> RootPath {
        if let Ok(real) = walk::canonical(&self.below, path) {
            return real;
        }
        let directory = walk::canonical(&self.below, &path.parent())
            .unwrap_or_else(|_| path.parent().normalized());
        path.file_name()
            .map_or_else(|| directory.clone(), |name| directory.join(name))
    }

    fn change(&self, path: &RootPath) -> Option<&Change> {
        if self.changes.is_empty() {
            return None;
        }
        self.changes.get(&self.key(path))
    }
}

fn host_path(path: &HostPath) -> io::Result<RootPath> {
    std::path::absolute(path.as_path()).map(RootPath::new)
}

impl<T: Tree> Tree for Layer<T> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        match self.change(path) {
            None => self.below.open(path),
            Some(Change::Hidden) => Err(Errno::NOENT.into()),
            Some(Change::Replaced(with)) => Host.open(&host_path(with)?),
        }
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        match self.change(path) {
            None => self.below.stat(path),
            Some(Change::Hidden) => Err(Errno::NOENT.into()),
            Some(Change::Replaced(with)) => Host.stat(&host_path(with)?),
        }
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        // A link to a changed file is still a link; only the changed name itself differs.
        match self.changes.get(&path.normalized()) {
            Some(_) => self.stat(path),
            None => self.below.lstat(path),
        }
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        match self.changes.get(&path.normalized()) {
            Some(Change::Hidden) => Err(Errno::NOENT.into()),
            Some(Change::Replaced(_)) => Err(Errno::INVAL.into()),
            None => self.below.read_link(path),
        }
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let mut names = self.below.list(path)?;
        let directory = walk::canonical(&self.below, path)?;
        for (key, change) in &self.changes {
            if key.parent() != directory {
                continue;
            }
            let Some(name) = key.file_name() else {
                continue;
            };
            let found = names
                .iter()
                .position(|have| Path::new(have) == Path::new(name));
            match (change, found) {
                (Change::Hidden, Some(index)) => {
                    names.remove(index);
                }
                (Change::Replaced(_), None) => names.push(name.to_os_string()),
                _ => {}
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mem;
    use super::*;

    #[test]
    fn a_hidden_file_is_gone_under_every_name_it_had() {
        let tree = Mem::new()
            .with_link("/lib", "usr/lib")
            .with_file("/usr/lib/libx.so.1", "x");
        let mut layer = Layer::over(tree);
        layer.hide(&RootPath::new("/lib/libx.so.1"));
        assert!(layer.open(&RootPath::new("/usr/lib/libx.so.1")).is_err());
        assert!(layer.open(&RootPath::new("/lib/libx.so.1")).is_err());
        assert!(layer.list(&RootPath::new("/usr/lib")).unwrap().is_empty());
    }

    #[test]
    fn a_replacement_may_be_a_name_that_was_not_there() {
        let mut layer = Layer::over(Mem::new().with_dir("/usr/lib"));
        layer.replace(
            &RootPath::new("/usr/lib/new.so"),
            HostPath::new("/etc/passwd"),
        );
        assert!(layer.open(&RootPath::new("/usr/lib/new.so")).is_ok());
        assert_eq!(layer.list(&RootPath::new("/usr/lib")).unwrap(), ["new.so"]);
    }
}
