//! A tree in memory, for tests of everything that reads a [`Tree`].
//!
//! Resolution is the kernel's: links before the last component are followed, absolute ones
//! restart at the root, `..` stops there, more than 40 are ELOOP.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::{Tree, TreeFile};
use crate::model::{FileId, Kind, Meta, RootPath};

/// What MAXSYMLINKS is in the kernel.
const MAX_LINKS: usize = 40;

#[derive(Clone, Debug)]
enum Node {
    Directory,
    File(Arc<[u8]>, u32),
    Link(PathBuf),
    Special(Kind),
}

/// Files by their canonical path. Made with the `with_*` calls, then read as a [`Tree`].
#[derive(Clone, Debug, Default)]
pub struct Mem {
    nodes: BTreeMap<PathBuf, (u64, Node)>,
    next_inode: u64,
}

impl Mem {
    /// An empty root.
    #[must_use]
    pub fn new() -> Self {
        let mut tree = Self::default();
        tree.put(Path::new("/"), Node::Directory);
        tree
    }

    /// A file, mode 0755, with the directories above it.
    #[must_use]
    pub fn with_file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.put(Path::new(path), Node::File(Arc::from(bytes.into()), 0o755));
        self
    }

    /// A directory with those above it.
    #[must_use]
    pub fn with_dir(mut self, path: &str) -> Self {
        self.put(Path::new(path), Node::Directory);
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.put(Path::new(path), Node::Link(PathBuf::from(target)));
        self
    }

    /// A FIFO, device or socket.
    #[must_use]
    pub fn with_special(mut self, path: &str, kind: Kind) -> Self {
        self.put(Path::new(path), Node::Special(kind));
        self
    }

    /// A second name for a file that exists (a hard link).
    #[must_use]
    pub fn with_hard_link(mut self, path: &str, existing: &str) -> Self {
        if let Some(entry) = self.nodes.get(Path::new(existing)).cloned() {
            self.nodes.insert(PathBuf::from(path), entry);
        }
        self
    }

    fn put(&mut self, path: &Path, node: Node) {
        let mut above = path.parent();
        while let Some(directory) = above {
            if !self.nodes.contains_key(directory) {
                self.next_inode += 1;
                let entry = (self.next_inode, Node::Directory);
                self.nodes.insert(directory.to_path_buf(), entry);
            }
            above = directory.parent();
        }
        self.next_inode += 1;
        self.nodes
            .insert(path.to_path_buf(), (self.next_inode, node));
    }

    /// The canonical path of `path`; the last component is followed only when asked.
    fn walk(&self, path: &RootPath, follow_last: bool) -> Result<PathBuf, Errno> {
        let mut pending: Vec<OsString> = Vec::new();
        push_reversed(&mut pending, path.as_path());
        let mut at = PathBuf::from("/");
        let mut followed = 0;
        while let Some(name) = pending.pop() {
            if !matches!(self.nodes.get(&at), Some((_, Node::Directory))) {
                return Err(Errno::NOTDIR);
            }
            if name == OsStr::new("..") {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            match self.nodes.get(&next) {
                None => return Err(Errno::NOENT),
                Some((_, Node::Link(target))) if follow_last || !pending.is_empty() => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    push_reversed(&mut pending, target);
                }
                Some(_) => at = next,
            }
        }
        Ok(at)
    }

    fn meta(&self, at: &Path) -> Result<Meta, Errno> {
        let (inode, node) = self.nodes.get(at).ok_or(Errno::NOENT)?;
        let (kind, mode, size) = match node {
            Node::Directory => (Kind::Directory, 0o755, 0),
            Node::File(bytes, mode) => (Kind::File, *mode, bytes.len()),
            Node::Link(target) => (Kind::Link, 0o777, target.as_os_str().len()),
            Node::Special(kind) => (*kind, 0o644, 0),
        };
        let size = size as u64;
        Ok(Meta {
            id: FileId {
                device: 0,
                inode: *inode,
            },
            kind,
            mode,
            uid: 0,
            gid: 0,
            links: 1,
            size,
            blocks: size.div_ceil(512),
            modified: (0, 0),
            rdev: 0,
        })
    }
}

fn push_reversed(pending: &mut Vec<OsString>, path: &Path) {
    use std::path::Component;
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => pending.push(name.to_os_string()),
            Component::ParentDir => pending.push(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

impl Tree for Mem {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        let at = self.walk(path, true)?;
        let meta = self.meta(&at)?;
        let bytes = match &self.nodes[&at].1 {
            Node::File(bytes, _) => Arc::clone(bytes),
            _ => Arc::from([]),
        };
        Ok(TreeFile::Mem(bytes, meta))
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        Ok(self.meta(&self.walk(path, true)?)?)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        Ok(self.meta(&self.walk(path, false)?)?)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        match &self.nodes[&self.walk(path, false)?].1 {
            Node::Link(target) => Ok(target.clone()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let at = self.walk(path, true)?;
        if !matches!(self.nodes[&at].1, Node::Directory) {
            return Err(Errno::NOTDIR.into());
        }
        Ok(self
            .nodes
            .keys()
            .filter(|key| key.parent() == Some(&at))
            .filter_map(|key| key.file_name().map(OsStr::to_os_string))
            .collect())
    }
}
