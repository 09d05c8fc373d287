//! A system as its fstab would put it together, without mounting it anywhere: several trees,
//! each at its mount point. What stands on a separate /usr, /boot or /var is found as the running
//! system would find it, links included, and nothing leads out.

use std::ffi::OsString;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::model::{Kind, Meta, RootPath};
use crate::root::{self, InRoot, Tree, TreeFile};

/// Trees at mount points. Lives no longer than the peeks it looks through: they could not be
/// closed while one of its descriptors is open.
#[derive(Debug)]
pub struct View<'peek> {
    root: InRoot,
    /// Mount points without a link in them, and what is there.
    mounts: Vec<(RootPath, InRoot)>,
    peeks: PhantomData<&'peek ()>,
}

impl View<'_> {
    /// A view of one tree.
    #[must_use]
    pub fn new(root: InRoot) -> Self {
        Self {
            root,
            mounts: Vec::new(),
            peeks: PhantomData,
        }
    }

    /// Puts `tree` at `mount_point`, resolved inside of what is here so far. Shallow mount points
    /// come first, as at boot.
    ///
    /// # Errors
    /// ENOENT, ELOOP: the mount point is not there. ENOTDIR: it is no directory.
    pub fn mount(&mut self, mount_point: &RootPath, tree: InRoot) -> io::Result<()> {
        let trail = root::resolve(&Raw(self), mount_point)?;
        if trail.meta.kind != Kind::Directory || trail.real == RootPath::root() {
            return Err(Errno::NOTDIR.into());
        }
        self.mounts.push((trail.real, tree));
        Ok(())
    }

    /// The tree that a path without links in it lies in, and its path there.
    fn at(&self, real: &RootPath) -> (&InRoot, RootPath) {
        let found = self
            .mounts
            .iter()
            .filter(|(point, _)| real.starts_with(point))
            .max_by_key(|(point, _)| point.as_path().components().count());
        match found {
            None => (&self.root, real.clone()),
            Some((point, tree)) => {
                let inside = real.as_path().strip_prefix(point.as_path());
                (tree, RootPath::new(inside.unwrap_or(real.as_path())))
            }
        }
    }

    /// `path` with every link but the last component resolved.
    fn parent_resolved(&self, path: &RootPath) -> io::Result<RootPath> {
        match path.file_name() {
            None => root::canonical(&Raw(self), path),
            Some(name) => Ok(root::canonical(&Raw(self), &path.parent())?.join(name)),
        }
    }
}

/// Looks at canonical paths only: what [`root::resolve`] walks over.
struct Raw<'view>(&'view View<'view>);

impl Tree for Raw<'_> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        let (tree, inside) = self.0.at(path);
        tree.open(&inside)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        self.lstat(path)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        let (tree, inside) = self.0.at(path);
        tree.lstat(&inside)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        let (tree, inside) = self.0.at(path);
        tree.read_link(&inside)
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let (tree, inside) = self.0.at(path);
        tree.list(&inside)
    }
}

impl Tree for View<'_> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        if self.mounts.is_empty() {
            return self.root.open(path);
        }
        Raw(self).open(&root::canonical(&Raw(self), path)?)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        if self.mounts.is_empty() {
            return self.root.stat(path);
        }
        root::resolve(&Raw(self), path).map(|trail| trail.meta)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        Raw(self).lstat(&self.parent_resolved(path)?)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        Raw(self).read_link(&self.parent_resolved(path)?)
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        Raw(self).list(&root::canonical(&Raw(self), path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostPath;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_cross_mount_points_and_never_lead_out() {
        let base = tempfile::tempdir().unwrap();
        let (root, usr) = (base.path().join("root"), base.path().join("usr"));
        for dir in ["usr", "etc"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::create_dir_all(usr.join("lib/x")).unwrap();
        fs::write(usr.join("lib/os-release"), "ID=x").unwrap();
        fs::write(base.path().join("outside"), "no").unwrap();
        symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
        symlink("usr/lib", root.join("lib")).unwrap();
        symlink("../../etc", usr.join("lib/etc")).unwrap();
        symlink("../../../outside", usr.join("out")).unwrap();

        let open = |path: PathBuf| InRoot::open(&HostPath::new(path)).unwrap();
        let mut view = View::new(open(root));
        let release = RootPath::new("/etc/os-release");
        assert!(view.stat(&release).is_err());
        view.mount(&RootPath::new("/usr"), open(usr)).unwrap();
        assert_eq!(root::read(&view, &release, 99).unwrap(), b"ID=x");
        let kind = |path: &str| view.stat(&RootPath::new(path)).map(|meta| meta.kind).ok();
        assert_eq!(kind("/lib/x"), Some(Kind::Directory));
        assert_eq!(kind("/usr/lib/etc/os-release"), Some(Kind::File));
        assert_eq!(kind("/usr/out"), None);
        let link = view.lstat(&RootPath::new("/lib")).unwrap();
        assert_eq!(link.kind, Kind::Link);
        let names = view.list(&RootPath::new("/lib")).unwrap();
        assert_eq!(names, ["etc", "os-release", "x"]);
    }
}
