//! [`resolve`](super::resolve) for many paths of one tree: a thousand files lie in a few directories, so the way
//! to each of these is followed once, and then only the last name has to be looked at.

use std::collections::hash_map::Entry;
use std::io;

use rustix::io::Errno;

use super::walk::{MAX_LINKS, resolve_after};
use super::{LinkStep, Trail, Tree};
use crate::model::{Kind, Map, RootPath};

/// Follows paths, and remembers directories. A directory that changes under it keeps its first
/// answer.
pub struct Trails<'t> {
    tree: &'t dyn Tree,
    /// Directories, as they are named.
    walked: Map<RootPath, Trail>,
}

impl std::fmt::Debug for Trails<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trails")
            .field("walked", &self.walked.len())
            .finish_non_exhaustive()
    }
}

impl<'t> Trails<'t> {
    /// Nothing is followed yet.
    #[must_use]
    pub fn new(tree: &'t dyn Tree) -> Self {
        Self {
            tree,
            walked: Map::default(),
        }
    }

    /// Follows `path` to its end.
    ///
    /// # Errors
    /// As [`resolve`](super::resolve).
    pub fn follow(&mut self, path: &RootPath) -> io::Result<Trail> {
        self.after(0, path)
    }

    /// The same when so many links were followed before.
    fn after(&mut self, followed: usize, path: &RootPath) -> io::Result<Trail> {
        let above = path.parent();
        let Some(name) = path.file_name().filter(|_| above != *path) else {
            return resolve_after(followed, self.tree, path);
        };
        let way = match self.walked.entry(above) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let way = resolve_after(followed, self.tree, new.key())?;
                new.insert(way)
            }
        };
        let mut links = way.links.clone();
        if followed + links.len() > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        if way.meta.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        let real = way.real.join(name);
        let meta = self.tree.lstat(&real)?;
        if meta.kind != Kind::Link {
            return Ok(Trail { links, real, meta });
        }
        if followed + links.len() == MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = self.tree.read_link(&real)?;
        let next = RootPath::new(way.real.as_path().join(&target));
        links.push(LinkStep {
            at: real,
            target,
            meta,
        });
        let rest = self.after(followed + links.len(), &next)?;
        links.extend(rest.links);
        Ok(Trail { links, ..rest })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mem, resolve};
    use super::*;

    #[test]
    fn they_are_those_that_resolving_finds() {
        let tree = Mem::new()
            .with_link("/lib64", "usr/lib64")
            .with_link("/usr/lib64/ld.so", "/lib/ld-2.so")
            .with_link("/usr/lib64/up", "../lib/./ld-2.so")
            .with_link("/usr/lib64/back", "..")
            .with_link("/usr/lib64/top", "/")
            .with_link("/usr/lib64/nowhere", "nothing")
            .with_link("/usr/lib64/beyond", "up/x")
            .with_link("/lib", "usr/lib")
            .with_link("/a", "b")
            .with_link("/b", "a")
            .with_file("/usr/lib/ld-2.so", "x");
        let mut trails = Trails::new(&tree);
        let names = [
            "/",
            "/lib64",
            "/lib64/",
            "/lib64/..",
            "/lib64/ld.so",
            "/lib64/./ld.so",
            "/usr/lib64/../lib/ld-2.so",
            "/lib64/up",
            "/lib64/back",
            "/lib64/back/lib",
            "/lib64/top",
            "/lib64/top/lib64/up",
            "/lib64/nowhere",
            "/lib64/beyond",
            "/lib/ld-2.so/x",
            "/lib/none",
            "/none/x",
            "/a",
            "/a/x",
        ];
        for name in names.iter().chain(&names) {
            let path = RootPath::new(name);
            let errno = |error: io::Error| error.raw_os_error();
            let wanted = resolve(&tree, &path).map_err(errno);
            assert_eq!(trails.follow(&path).map_err(errno), wanted, "{name}");
        }
    }

    #[test]
    fn forty_links_are_followed_and_no_more() {
        // A chain that leads into a directory, a link there, and a chain to another directory.
        for (first, second, ends) in [
            (0, 39, true),
            (20, 19, true),
            (20, 20, false),
            (39, 0, true),
        ] {
            let mut tree = Mem::new()
                .with_link("/0", "end")
                .with_link("/second0", "last");
            for link in 1..first {
                tree = tree.with_link(&format!("/{link}"), &(link - 1).to_string());
            }
            for link in 1..second {
                tree = tree.with_link(&format!("/second{link}"), &format!("second{}", link - 1));
            }
            let at = |name: &str, count: usize, end: &str| match count {
                0 => format!("/{end}"),
                count => format!("/{name}{}", count - 1),
            };
            let target = format!("{}/x", at("second", second, "last"));
            let tree = tree.with_link("/end/f", &target).with_file("/last/x", "");
            let path = RootPath::new(format!("{}/f", at("", first, "end")));
            let mut trails = Trails::new(&tree);
            for _ in 0..2 {
                assert_eq!(resolve(&tree, &path).is_ok(), ends, "{first} {second}");
                assert_eq!(trails.follow(&path).is_ok(), ends, "{first} {second}");
                // Both ways are known the second time.
                trails.follow(&RootPath::new(&target)).unwrap();
            }
        }
    }
}
