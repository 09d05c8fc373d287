//! A root as a type: every path inside it is resolved so that it cannot leave it.
//!
//! [`Tree`] is what the readers (`elf`, `probe`, `profile`, `plan`'s callers) see. [`Host`] is the
//! running system, [`InRoot`] a directory that serves as `/`, [`Mem`] a tree of a test, and
//! [`Layer`] another tree with files replaced or hidden. Nothing here writes.
//!
//! Errors are `std::io::Error` made from a bare errno: a search path misses far more often than
//! it hits, so a miss must not allocate.

mod edited;
mod host;
mod in_root;
mod layer;
mod mem;
mod mounted;
mod sum;
mod trails;
mod walk;

pub use edited::{Edit, Edited};
pub use host::Host;
pub use in_root::InRoot;
pub use layer::Layer;
pub use mem::Mem;
pub use mounted::Mounted;
pub use sum::{sum, sum_of};
pub use trails::Trails;
pub use walk::{LinkStep, Trail, canonical, is_file, reach, read, resolve};

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{Meta, RootPath};
use crate::sys;

/// A tree of files that serves as `/`. Links are followed inside it and never out of it.
pub trait Tree {
    /// Opens for reading, following links. A FIFO or a device never blocks: the caller looks at
    /// [`TreeFile::meta`] before it reads.
    ///
    /// # Errors
    /// The errno of openat2(2): ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG and so on.
    fn open(&self, path: &RootPath) -> io::Result<TreeFile>;

    /// stat(2), following links.
    ///
    /// # Errors
    /// As [`Tree::open`].
    fn stat(&self, path: &RootPath) -> io::Result<Meta>;

    /// lstat(2): the last component is not followed, the ones before it are.
    ///
    /// # Errors
    /// As [`Tree::open`].
    fn lstat(&self, path: &RootPath) -> io::Result<Meta>;

    /// readlink(2) of the last component.
    ///
    /// # Errors
    /// EINVAL when it is no link; otherwise as [`Tree::open`].
    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf>;

    /// The names in a directory, without `.` and `..`, sorted by bytes.
    ///
    /// # Errors
    /// ENOTDIR when it is no directory; otherwise as [`Tree::open`].
    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>>;
}

/// An open file of a tree, read at offsets only.
#[derive(Debug)]
pub enum TreeFile {
    /// A real file.
    Fd(OwnedFd),
    /// A file of [`Mem`].
    Mem(Arc<[u8]>, Meta),
}

impl TreeFile {
    /// pread(2): reads at most `buffer.len()` bytes at `offset`; 0 is the end of the file.
    ///
    /// # Errors
    /// The errno of pread(2).
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Fd(fd) => Ok(rustix::io::pread(fd, buffer, offset)?),
            Self::Mem(bytes, _) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let rest = &bytes[start..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }

    /// pread(2) of what follows the `bytes` that were read so far, into their spare capacity; how
    /// many came.
    ///
    /// # Errors
    /// The errno of pread(2).
    pub fn read_on(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let offset = bytes.len();
        match self {
            Self::Fd(fd) => {
                let room = rustix::buffer::spare_capacity(bytes);
                Ok(rustix::io::pread(fd, room, offset as u64)?)
            }
            Self::Mem(all, _) => {
                let rest = all.get(offset..).unwrap_or_default();
                let count = rest.len().min(bytes.capacity() - offset);
                bytes.extend_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }

    /// fstat(2).
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn meta(&self) -> io::Result<Meta> {
        match self {
            Self::Fd(fd) => sys::fs::meta_of_fd(fd),
            Self::Mem(_, meta) => Ok(*meta),
        }
    }

    /// The descriptor, where there is one.
    #[must_use]
    pub fn fd(&self) -> Option<&OwnedFd> {
        match self {
            Self::Fd(fd) => Some(fd),
            Self::Mem(..) => None,
        }
    }
}

impl<T: Tree + ?Sized> Tree for &T {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        (**self).open(path)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        (**self).stat(path)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        (**self).lstat(path)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        (**self).read_link(path)
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        (**self).list(path)
    }
}
