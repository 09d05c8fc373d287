//! Another tree in which some texts of some files read differently, at the same length: what
//! lent programs need, whose compiled-in paths would lead into the root they are lent to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use memchr::memmem;

use super::{Tree, TreeFile, read};
use crate::model::{Meta, RootPath};

/// A larger program is read as it is.
const LIMIT: usize = 256 << 20;

/// One text, and what is read in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    from: &'static [u8],
    to: &'static [u8],
}

impl Edit {
    /// Both have the same length: nothing in a program may move.
    ///
    /// # Panics
    /// When they do not, which the compiler sees for a constant.
    #[must_use]
    pub const fn new(from: &'static [u8], to: &'static [u8]) -> Self {
        assert!(from.len() == to.len(), "an edit keeps the length");
        Self { from, to }
    }
}

/// A tree with edits. Metadata is that of the files as they are.
pub struct Edited<'t> {
    below: &'t dyn Tree,
    files: &'t BTreeSet<RootPath>,
    edits: &'static [Edit],
}

impl std::fmt::Debug for Edited<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edited")
            .field("files", &self.files.len())
            .field("edits", &self.edits)
            .finish_non_exhaustive()
    }
}

impl<'t> Edited<'t> {
    /// `below` with `edits` in `files`, which are named by paths without a link in them.
    #[must_use]
    pub fn new(below: &'t dyn Tree, files: &'t BTreeSet<RootPath>, edits: &'static [Edit]) -> Self {
        Self {
            below,
            files,
            edits,
        }
    }
}

impl Edited<'_> {
    /// Whether this file reads differently.
    #[must_use]
    pub fn changes(&self, path: &RootPath) -> bool {
        matches!(self.open(path), Ok(TreeFile::Mem(..)))
    }
}

impl Tree for Edited<'_> {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        let file = self.below.open(path)?;
        if !self.files.contains(path) {
            return Ok(file);
        }
        let mut bytes = match read(self.below, path, LIMIT) {
            Ok(bytes) => bytes,
            // Too large, or no regular file: whoever reads it will see.
            Err(_) => return Ok(file),
        };
        let mut changed = false;
        for edit in self.edits {
            changed |= apply(&mut bytes, *edit);
        }
        if !changed {
            return Ok(file);
        }
        let meta = file.meta()?;
        Ok(TreeFile::Mem(Arc::from(bytes), meta))
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        self.below.stat(path)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        self.below.lstat(path)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        self.below.read_link(path)
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        self.below.list(path)
    }
}

fn apply(bytes: &mut [u8], edit: Edit) -> bool {
    let found: Vec<usize> = memmem::find_iter(bytes, edit.from).collect();
    for at in &found {
        if let Some(place) = bytes.get_mut(*at..*at + edit.to.len()) {
            place.copy_from_slice(edit.to);
        }
    }
    !found.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    const EDITS: &[Edit] = &[Edit::new(b"\0/bin/sh\0", b"\0/run/sh\0")];

    #[test]
    fn only_named_files_read_differently_and_only_whole_texts() {
        let text = b"-c\0/bin/sh\0/usr/bin/sh\0/bin/shells\0".to_vec();
        let tree = Mem::new()
            .with_file("/lib/libc.so", text.clone())
            .with_file("/etc/shells", text.clone());
        let files = BTreeSet::from([RootPath::new("/lib/libc.so")]);
        let edited = Edited::new(&tree, &files, EDITS);
        let read = |path: &str| read(&edited, &RootPath::new(path), 1 << 10).unwrap();
        assert_eq!(
            read("/lib/libc.so"),
            b"-c\0/run/sh\0/usr/bin/sh\0/bin/shells\0"
        );
        assert_eq!(read("/etc/shells"), text);
        let length = edited.stat(&RootPath::new("/lib/libc.so")).unwrap().size;
        assert_eq!(length, text.len() as u64);
    }
}
