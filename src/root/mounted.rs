//! A tree with others mounted in it: what a root will look like when it is entered, before
//! anything is mounted (`--bind`, and the links that a skeleton gets).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::{Tree, TreeFile, walk};
use crate::model::{FileId, Kind, Meta, RootPath};

/// A tree, trees mounted in it, and links that only this view has.
pub struct Mounted<'t> {
    base: &'t dyn Tree,
    mounts: Vec<(RootPath, Box<dyn Tree + 't>)>,
    links: BTreeMap<RootPath, PathBuf>,
}

impl std::fmt::Debug for Mounted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let points: Vec<&RootPath> = self.mounts.iter().map(|(point, _)| point).collect();
        f.debug_struct("Mounted")
            .field("points", &points)
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

impl<'t> Mounted<'t> {
    /// A view of `base` alone.
    #[must_use]
    pub fn over(base: &'t dyn Tree) -> Self {
        Self {
            base,
            mounts: Vec::new(),
            links: BTreeMap::new(),
        }
    }

    /// Mounts `tree` on the directory `point`, whether that is there or not; links in `point` are
    /// followed as far as they lead.
    pub fn mount(&mut self, point: &RootPath, tree: Box<dyn Tree + 't>) {
        let real = walk::canonical(&Plain(self), point).unwrap_or_else(|_| point.normalized());
        self.mounts.push((real, tree));
    }

    /// Adds a link directly in the root, unless something has that name.
    pub fn link(&mut self, path: RootPath, target: PathBuf) {
        if self.base.lstat(&path).is_err() {
            self.links.insert(path, target);
        }
    }

    fn real(&self, path: &RootPath) -> io::Result<RootPath> {
        walk::canonical(&Plain(self), path)
    }

    /// Which tree has this path (without links in it), and the path there. The last mount wins.
    fn place(&self, real: &RootPath) -> (&dyn Tree, RootPath) {
        for (point, tree) in self.mounts.iter().rev() {
            if real.starts_with(point) {
                let rest = real.as_path().strip_prefix(point.as_path());
                return (tree.as_ref(), RootPath::new(rest.unwrap_or(real.as_path())));
            }
        }
        (self.base, real.clone())
    }

    /// A directory that is there only because something is mounted below it.
    fn is_above_a_mount(&self, path: &RootPath) -> bool {
        self.mounts.iter().any(|(point, _)| point.starts_with(path))
    }
}

/// The same tree where no component of a path is a link: what [`walk`] asks for.
struct Plain<'m, 't>(&'m Mounted<'t>);

impl Tree for Plain<'_, '_> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        let (tree, path) = self.0.place(path);
        tree.open(&path)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        self.lstat(path)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        if self.0.links.contains_key(path) {
            return Ok(bare(Kind::Link));
        }
        let (tree, inside) = self.0.place(path);
        match tree.lstat(&inside) {
            Err(_) if self.0.is_above_a_mount(path) => Ok(bare(Kind::Directory)),
            found => found,
        }
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        if let Some(target) = self.0.links.get(path) {
            return Ok(target.clone());
        }
        let (tree, path) = self.0.place(path);
        tree.read_link(&path)
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let (tree, inside) = self.0.place(path);
        tree.list(&inside)
    }
}

fn bare(kind: Kind) -> Meta {
    Meta {
        id: FileId {
            device: 0,
            inode: 0,
        },
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        links: 1,
        size: 0,
        blocks: 0,
        modified: (0, 0),
        rdev: 0,
    }
}

impl Tree for Mounted<'_> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        let real = self.real(path)?;
        Plain(self).open(&real)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        walk::resolve(&Plain(self), path).map(|trail| trail.meta)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        match path.file_name() {
            None => self.stat(path),
            Some(name) => Plain(self).lstat(&self.real(&path.parent())?.join(name)),
        }
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        match path.file_name() {
            None => Err(Errno::INVAL.into()),
            Some(name) => Plain(self).read_link(&self.real(&path.parent())?.join(name)),
        }
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        Plain(self).list(&self.real(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mem;
    use super::*;

    #[test]
    fn links_lead_from_the_base_into_a_mount_and_back() {
        let base = Mem::new().with_dir("/etc").with_file("/etc/x", "base");
        let usr = Mem::new()
            .with_file("/lib64/ld.so", "loader")
            .with_link("/etc", "/etc");
        let mut tree = Mounted::over(&base);
        tree.mount(&RootPath::new("/usr"), Box::new(usr));
        tree.link(RootPath::new("/lib64"), PathBuf::from("usr/lib64"));
        let read = |path: &str| walk::read(&tree, &RootPath::new(path), 100).unwrap();
        assert_eq!(read("/lib64/ld.so"), b"loader");
        assert_eq!(read("/usr/etc/x"), b"base");
        assert!(tree.stat(&RootPath::new("/usr/none")).is_err());
        assert_eq!(
            tree.lstat(&RootPath::new("/lib64")).unwrap().kind,
            Kind::Link
        );
    }
}
