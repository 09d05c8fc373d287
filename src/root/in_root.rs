//! A directory that serves as `/`: openat2(2) with RESOLVE_IN_ROOT, so that absolute links
//! restart at it and `..` stops at it, even while somebody swaps directories under us.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::{Tree, TreeFile};
use crate::model::{HostPath, Meta, RootPath};
use crate::sys::fs;

/// A root that was opened once; every later look starts from that descriptor, never from a name.
#[derive(Debug)]
pub struct InRoot {
    directory: OwnedFd,
}

impl InRoot {
    /// Opens `path` on the host as a root.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES: the errno of open(2).
    pub fn open(path: &HostPath) -> io::Result<Self> {
        let directory = fs::open_directory_path(rustix::fs::CWD, path.as_path())?;
        Ok(Self { directory })
    }

    /// Takes a directory that is open already (a detached mount, a staging directory).
    #[must_use]
    pub fn from_fd(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// Whether this is the caller's own `/` under another name (`/usr/..`, `/proc/self/root`): the
    /// same directory on the same mount. What is bound elsewhere shows other mounts below it.
    #[must_use]
    pub fn is_host(&self) -> bool {
        let Ok(host) = Self::open(&HostPath::new("/")) else {
            return false;
        };
        let id = |root: &Self| fs::meta_of_fd(&root.directory).map(|meta| meta.id).ok();
        let mount = |root: &Self| fs::mount_id(&root.directory).ok();
        id(self).is_some() && id(self) == id(&host) && mount(self) == mount(&host)
    }

    /// Where `path` of the host lies in this root, whatever names both are known by: the first
    /// directory above it that is this one.
    #[must_use]
    pub fn find_inside(&self, path: &Path) -> Option<RootPath> {
        let own = fs::meta_of_fd(&self.directory).ok()?.id;
        let is_own =
            |above: &&Path| fs::stat_at(rustix::fs::CWD, above).is_ok_and(|meta| meta.id == own);
        let above = path.ancestors().find(is_own)?;
        path.strip_prefix(above).ok().map(RootPath::new)
    }

    /// The root's own descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// An `O_PATH` handle on `path` inside the root, links followed.
    ///
    /// # Errors
    /// The errno of openat2(2).
    pub fn handle(&self, path: &RootPath) -> io::Result<OwnedFd> {
        fs::open_in_root(
            &self.directory,
            path.relative(),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// An `O_PATH` handle on the last component itself, even when it is a link.
    ///
    /// # Errors
    /// The errno of openat2(2).
    pub fn handle_nofollow(&self, path: &RootPath) -> io::Result<OwnedFd> {
        fs::open_in_root(
            &self.directory,
            path.relative(),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// The directory that holds the last component of `path`, and that component's name.
    /// This is what every change inside a root starts from.
    ///
    /// # Errors
    /// The errno of openat2(2); EINVAL for the root itself and for a name of `..`.
    pub fn parent_of<'p>(&self, path: &'p RootPath) -> io::Result<(OwnedFd, &'p Path)> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::from(rustix::io::Errno::INVAL))?;
        let directory = fs::open_in_root(
            &self.directory,
            path.parent().relative(),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok((directory, Path::new(name)))
    }
}

impl Tree for InRoot {
    fn open(&self, path: &RootPath) -> io::Result<TreeFile> {
        fs::open_in_root(
            &self.directory,
            path.relative(),
            fs::READ_FLAGS,
            Mode::empty(),
        )
        .map(TreeFile::Fd)
    }

    fn stat(&self, path: &RootPath) -> io::Result<Meta> {
        fs::meta_of_fd(self.handle(path)?)
    }

    fn lstat(&self, path: &RootPath) -> io::Result<Meta> {
        fs::meta_of_fd(self.handle_nofollow(path)?)
    }

    fn read_link(&self, path: &RootPath) -> io::Result<PathBuf> {
        // readlinkat(2) with an empty name reads the link that an O_PATH|O_NOFOLLOW handle is on.
        let link = self.handle_nofollow(path)?;
        fs::read_link_at(&link, Path::new("")).map_err(|error| {
            // The kernel says ENOENT for an empty name when the handle is no link.
            if error.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error()) {
                io::Error::from(rustix::io::Errno::INVAL)
            } else {
                error
            }
        })
    }

    fn list(&self, path: &RootPath) -> io::Result<Vec<OsString>> {
        let directory = fs::open_in_root(
            &self.directory,
            path.relative(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        fs::list_directory(directory)
    }
}
