//! Resolution step by step over any [`Tree`], for those who need to know *how* a path is
//! reached: the links on the way (a jail copies them) and the canonical name (`$ORIGIN`).

use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use super::Tree;
use crate::model::{Kind, Meta, RootPath};

/// What MAXSYMLINKS is in the kernel (path_resolution(7)).
pub(super) const MAX_LINKS: usize = 40;

/// One link that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStep {
    /// Where the link stands; every directory above it is real.
    pub at: RootPath,
    /// Its text, as readlink(2) gives it.
    pub target: PathBuf,
    /// What lstat(2) says of it.
    pub meta: Meta,
}

/// How a path is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The links on the way, in the order they are followed.
    pub links: Vec<LinkStep>,
    /// The name at the end, with no link in it.
    pub real: RootPath,
    /// What stands there.
    pub meta: Meta,
}

/// Follows `path` to its end.
///
/// # Errors
/// The errno that the kernel would give: ENOENT, ENOTDIR, ELOOP after 40 links.
pub fn resolve(tree: &dyn Tree, path: &RootPath) -> io::Result<Trail> {
    resolve_after(0, tree, path)
}

/// The same when so many links were followed before.
pub(super) fn resolve_after(
    followed: usize,
    tree: &dyn Tree,
    path: &RootPath,
) -> io::Result<Trail> {
    let mut pending = Vec::new();
    push_reversed(&mut pending, path.as_path());
    let mut links = Vec::new();
    let mut at = RootPath::root();
    let mut meta = tree.lstat(&at)?;
    while let Some(name) = pending.pop() {
        if meta.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        if name == ".." {
            at = at.parent();
            meta = tree.lstat(&at)?;
            continue;
        }
        let next = at.join(&name);
        let found = tree.lstat(&next)?;
        if found.kind != Kind::Link {
            (at, meta) = (next, found);
            continue;
        }
        if followed + links.len() == MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = tree.read_link(&next)?;
        if target.is_absolute() {
            at = RootPath::root();
            meta = tree.lstat(&at)?;
        }
        push_reversed(&mut pending, &target);
        links.push(LinkStep {
            at: next,
            target,
            meta: found,
        });
    }
    Ok(Trail {
        links,
        real: at,
        meta,
    })
}

/// The name of `path` with every link resolved.
///
/// # Errors
/// As [`resolve`].
pub fn canonical(tree: &dyn Tree, path: &RootPath) -> io::Result<RootPath> {
    resolve(tree, path).map(|trail| trail.real)
}

/// Where `path` would be made: links are followed as far as they lead, and what is not there is
/// taken as it is written. A path that has no end (ELOOP) stays as it is.
#[must_use]
pub fn reach(tree: &dyn Tree, path: &RootPath) -> RootPath {
    let mut pending = Vec::new();
    push_reversed(&mut pending, path.as_path());
    let mut at = RootPath::root();
    let mut followed = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            at = at.parent();
            continue;
        }
        let next = at.join(&name);
        let Ok(target) = tree.read_link(&next) else {
            at = next;
            continue;
        };
        if followed == MAX_LINKS {
            return path.normalized();
        }
        followed += 1;
        if target.is_absolute() {
            at = RootPath::root();
        }
        push_reversed(&mut pending, &target);
    }
    at
}

/// Whether `path` leads to a regular file; an error counts as no.
#[must_use]
pub fn is_file(tree: &dyn Tree, path: &RootPath) -> bool {
    tree.stat(path).is_ok_and(|meta| meta.kind == Kind::File)
}

/// Reads a whole regular file of at most `limit` bytes.
///
/// # Errors
/// The errno of openat2(2) or pread(2); EINVAL when it is no regular file, EFBIG when it is
/// longer than `limit` (an untrusted root may hold anything under any name).
pub fn read(tree: &dyn Tree, path: &RootPath, limit: usize) -> io::Result<Vec<u8>> {
    let file = tree.open(path)?;
    let meta = file.meta()?;
    if meta.kind != Kind::File {
        return Err(Errno::INVAL.into());
    }
    let size = usize::try_from(meta.size).unwrap_or(usize::MAX).min(limit);
    let mut bytes = Vec::with_capacity(size + 1);
    while bytes.len() <= limit {
        if bytes.len() == bytes.capacity() {
            // The file grew, or (in /proc) its size was given as 0.
            bytes.reserve_exact((bytes.len() + 4096).min(limit + 1 - bytes.len()));
        }
        let count = file.read_on(&mut bytes)?;
        // Where there was room for one byte more, and it did not come, is the end.
        let ends = bytes.len() < bytes.capacity() && bytes.len() as u64 == meta.size;
        if (count == 0 || ends) && bytes.len() <= limit {
            return Ok(bytes);
        }
    }
    Err(Errno::FBIG.into())
}

fn push_reversed(pending: &mut Vec<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => pending.push(name.to_os_string()),
            Component::ParentDir => pending.push(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mem;
    use super::*;

    #[test]
    fn the_trail_names_every_link_in_order() {
        let tree = Mem::new()
            .with_link("/lib64", "usr/lib64")
            .with_link("/usr/lib64/ld.so", "/lib/ld-2.so")
            .with_link("/lib", "usr/lib")
            .with_file("/usr/lib/ld-2.so", "x");
        let trail = resolve(&tree, &RootPath::new("/lib64/ld.so")).unwrap();
        let at: Vec<String> = trail.links.iter().map(|link| link.at.to_string()).collect();
        assert_eq!(at, ["/lib64", "/usr/lib64/ld.so", "/lib"]);
        assert_eq!(trail.real, RootPath::new("/usr/lib/ld-2.so"));
    }

    #[test]
    fn dots_stop_at_the_root_and_loops_end() {
        let tree = Mem::new()
            .with_link("/out", "../../../etc")
            .with_file("/etc/x", "")
            .with_link("/a", "b")
            .with_link("/b", "a");
        let real = canonical(&tree, &RootPath::new("/out/x")).unwrap();
        assert_eq!(real, RootPath::new("/etc/x"));
        for (path, end) in [
            ("/out/new/y", "/etc/new/y"),
            ("/a", "/a"),
            ("/no/../x", "/x"),
        ] {
            assert_eq!(reach(&tree, &RootPath::new(path)), RootPath::new(end));
        }
        let error = canonical(&tree, &RootPath::new("/a")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }

    #[test]
    fn reading_is_bounded_and_refuses_what_is_no_file() {
        let tree = Mem::new()
            .with_file("/f", vec![7; 100])
            .with_special("/p", Kind::Fifo);
        assert_eq!(read(&tree, &RootPath::new("/f"), 100).unwrap().len(), 100);
        assert!(read(&tree, &RootPath::new("/f"), 99).is_err());
        assert!(read(&tree, &RootPath::new("/p"), 99).is_err());
    }
}
