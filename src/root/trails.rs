//! [`resolve`] for many paths of one tree: a thousand files lie in a few directories, so the way
//! to each of these is followed once, and then only the last name has to be looked at.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use rustix::io::Errno;

use super::walk::MAX_LINKS;
use super::{LinkStep, Trail, Tree, resolve};
use crate::model::{Kind, RootPath};

/// Follows paths, and remembers directories. A directory that changes under it keeps its first
/// answer.
pub struct Trails<'t> {
    tree: &'t dyn Tree,
    /// Directories, as they are named.
    walked: HashMap<RootPath, Trail>,
    /// The last answer: who asks what stands at a path mostly takes it next.
    last: Option<(RootPath, Trail)>,
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
            walked: HashMap::new(),
            last: None,
        }
    }

    /// Follows `path` to its end.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn follow(&mut self, path: &RootPath) -> io::Result<Trail> {
        if let Some((last, trail)) = &self.last
            && last == path
        {
            return Ok(trail.clone());
        }
        let trail = self.after(0, path)?;
        self.last = Some((path.clone(), trail.clone()));
        Ok(trail)
    }

    /// The same when so many links were followed before.
    fn after(&mut self, followed: usize, path: &RootPath) -> io::Result<Trail> {
        let above = path.parent();
        let Some(name) = path.file_name().filter(|_| above != *path) else {
            return resolve(self.tree, path);
        };
        let way = match self.walked.entry(above) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let way = resolve(self.tree, new.key())?;
                new.insert(way)
            }
        };
        if way.meta.kind != Kind::Directory {
            return Err(Errno::NOTDIR.into());
        }
        let real = way.real.join(name);
        let mut links = way.links.clone();
        let meta = self.tree.lstat(&real)?;
        if meta.kind != Kind::Link {
            return Ok(Trail { links, real, meta });
        }
        let target = self.tree.read_link(&real)?;
        let next = RootPath::new(way.real.as_path().join(&target));
        links.push(LinkStep { at: real, target });
        let followed = followed + links.len();
        if followed > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let rest = self.after(followed, &next)?;
        links.extend(rest.links);
        Ok(Trail { links, ..rest })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mem;
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
        for (count, ends) in [(40, true), (41, false)] {
            let mut tree = Mem::new().with_file("/0", "");
            for link in 1..=count {
                tree = tree.with_link(&format!("/{link}"), &(link - 1).to_string());
            }
            let path = RootPath::new(format!("/{count}"));
            assert_eq!(resolve(&tree, &path).is_ok(), ends);
            assert_eq!(Trails::new(&tree).follow(&path).is_ok(), ends);
        }
    }
}
