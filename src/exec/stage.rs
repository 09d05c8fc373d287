//! A new directory that appears complete or not at all: it is built under another name and then
//! renamed. Where its own name is a mount point it is built inside, and its entries are renamed
//! one by one, the manifest last.
//!
//! Whoever is killed leaves one staging directory. It is in a session record (for `cleanup`), and
//! it holds a marker that names the directory it was for and that is locked while its maker lives
//! (for the next build, also after a reboot).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::ExecError;
use super::clear::{names, remove_tree};
use super::leftover::{clear_leftovers, clear_records, take_back};
use super::site::{Site, survey};
use crate::model::{HostPath, MANIFEST};
use crate::root::InRoot;
use crate::session::{Item, ItemId, Live, New, Place, SessionError};
use crate::sys::{SysError, SysResult, file, fs};

/// In the staging directory: the name of the directory it is for.
pub(super) const MARKER: &str = ".newroot-stage";
/// In the staging directory: the names that are being renamed into a mount point.
pub(super) const MOVING: &str = ".newroot-moving";
/// The verb in the record.
pub(super) const KIND: &str = "build";
/// A file system's own directory, in a mount point that is empty otherwise.
const LOST_AND_FOUND: &str = "lost+found";

/// Why there is no staging directory.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The record could not be written.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The directory that shall hold it is not there.
    #[error("{0} does not exist")]
    NoParent(PathBuf),
    /// Something else has the name.
    #[error("it is not a directory")]
    NotADirectory,
    /// It has a manifest.
    #[error("it is a jail already")]
    IsJail,
    /// It holds something that newroot did not put there.
    #[error("it is not empty")]
    NotEmpty {
        /// A few of the names in it.
        names: Vec<PathBuf>,
    },
    /// Another newroot is at work on it.
    #[error("another newroot is building it")]
    Busy,
    /// What a killed build left cannot be removed.
    #[error("cannot remove what an earlier build left")]
    Leftover(#[source] ExecError),
}

/// A staging directory, locked. End it with [`Staging::commit`] or [`Staging::abandon`].
#[must_use = "it stays behind until it is committed or abandoned"]
#[derive(Debug)]
pub struct Staging {
    /// The directory that holds it: the parent of the final one, or the final one itself.
    home: OwnedFd,
    name: PathBuf,
    directory: OwnedFd,
    site: Site,
    live: Live,
    item: ItemId,
}

impl Staging {
    /// Looks at `dir`, removes what a killed build left for it, and makes a staging directory.
    ///
    /// # Errors
    /// [`StageError`]; nothing is left behind.
    pub fn begin(dir: &HostPath, place: &Place) -> Result<Self, StageError> {
        let (home, site, for_name) = survey(dir)?;
        // Held until this function returns: two who begin at once see each other's directory.
        let _turn = turn(&home)?;
        let absolute = absolute(&home)?;
        let root = match &site {
            Site::New { name } | Site::Empty { name } => absolute.join(name),
            Site::Inside => absolute.clone(),
        };
        clear_leftovers(&home, &for_name)?;
        clear_records(place, &root)?;
        check_empty(&home, &site)?;
        let new = New {
            kind: KIND,
            root,
            command: Vec::new(),
        };
        let mut live = Live::create(place, new)?;
        let name = PathBuf::from(live.staging_name());
        let path = absolute.join(&name);
        let item = live.plan(Item::StagingPlanned { path: path.clone() })?;
        let made = make(&home, &name, &for_name);
        let (directory, meta) = match made {
            Ok(made) => made,
            Err(error) => {
                live.forget(item)?;
                live.finish()?;
                return Err(error.into());
            }
        };
        live.done_as(
            item,
            Item::Staging {
                path,
                device: meta.id.device,
                inode: meta.id.inode,
            },
        )?;
        Ok(Self {
            home,
            name,
            directory,
            site,
            live,
            item,
        })
    }

    /// The staging directory as a root.
    ///
    /// # Errors
    /// EMFILE.
    pub fn root(&self) -> SysResult<InRoot> {
        file::open_directory(&self.directory, Path::new(".")).map(InRoot::from_fd)
    }

    /// Gives the directory its name.
    ///
    /// # Errors
    /// EEXIST or ENOTEMPTY when something appeared under that name meanwhile; the staging
    /// directory is removed then.
    pub fn commit(mut self) -> Result<(), StageError> {
        let moved = match &self.site {
            Site::New { name } => rename_to_new(&self.home, &self.name, name),
            Site::Empty { name } => file::rename(&self.home, &self.name, &self.home, name),
            Site::Inside => self.move_out(),
        };
        if let Err(error) = moved {
            // The first error is the one to tell; the record keeps what could not be removed.
            self.abandon().ok();
            return Err(error.into());
        }
        let left = if matches!(self.site, Site::Inside) {
            file::unlink(&self.directory, Path::new(MOVING)).ok();
            file::unlink(&self.directory, Path::new(MARKER)).ok();
            file::remove_directory(&self.home, &self.name)
        } else {
            file::unlink(&self.directory, Path::new(MARKER))
        };
        left?;
        self.live.forget(self.item)?;
        self.live.finish()?;
        Ok(())
    }

    /// Removes the staging directory with everything in it.
    ///
    /// # Errors
    /// What could not be removed; it stays in the record.
    pub fn abandon(mut self) -> Result<(), StageError> {
        if matches!(self.site, Site::Inside) {
            take_back(&self.home, &self.directory).map_err(StageError::Leftover)?;
        }
        remove_tree(&self.home, &self.name).map_err(StageError::Leftover)?;
        self.live.forget(self.item)?;
        self.live.finish()?;
        Ok(())
    }

    /// Everything but the directory of the manifest first: a jail without one is not complete.
    fn move_out(&self) -> SysResult<()> {
        let last = hidden_name();
        let mut all = names(self.directory.as_fd())?;
        all.retain(|name| name != Path::new(MARKER) && name != Path::new(MOVING) && *name != last);
        let list: Vec<u8> = all
            .iter()
            .flat_map(|name| name.as_os_str().as_bytes().iter().copied().chain([0]))
            .collect();
        let moving = file::create_new(&self.directory, Path::new(MOVING), 0o600)?;
        file::write_all(&moving, &list)?;
        for name in all.iter().chain([&last]) {
            rename_between(&self.directory, &self.home, name)?;
        }
        Ok(())
    }
}

fn rename_between(from: &OwnedFd, to: &OwnedFd, name: &Path) -> SysResult<()> {
    match file::rename_new(from, name, to, name) {
        Err(error) if error.errno == Errno::INVAL => file::rename(from, name, to, name),
        other => other,
    }
}

fn rename_to_new(home: &OwnedFd, old: &Path, new: &Path) -> SysResult<()> {
    match file::rename_new(home, old, home, new) {
        // The file system has no RENAME_NOREPLACE (renameat2(2)). A plain rename over a file
        // fails with ENOTDIR, over a directory that is not empty with ENOTEMPTY.
        Err(error) if matches!(error.errno, Errno::INVAL | Errno::NOSYS) => {
            file::rename(home, old, home, new)
        }
        other => other,
    }
}

fn hidden_name() -> PathBuf {
    Path::new(MANIFEST).components().nth(1).map_or_else(
        || PathBuf::from(".newroot"),
        |part| PathBuf::from(part.as_os_str()),
    )
}

/// A short lock on the directory that holds the staging directories. Somebody who holds it for
/// long (anyone may in /tmp) delays this by a second, no more.
fn turn(home: &OwnedFd) -> Result<OwnedFd, StageError> {
    let lock = file::open_directory(home, Path::new("."))?;
    for _ in 0..50 {
        if file::try_flock(&lock)? {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(lock)
}

fn make(home: &OwnedFd, name: &Path, for_name: &Path) -> SysResult<(OwnedFd, crate::model::Meta)> {
    file::make_directory(home, name, 0o700)?;
    let fill = || {
        let directory = file::open_directory(home, name)?;
        let marker = file::create_new(&directory, Path::new(MARKER), 0o600)?;
        file::write_all(&marker, for_name.as_os_str().as_bytes())?;
        file::try_flock(&directory)?;
        let meta = fs::meta_of_fd(&directory)
            .map_err(|error| SysError::from_io("fstat", format_args!(""), &error))?;
        Ok((directory, meta))
    };
    let made = fill();
    if made.is_err() {
        remove_tree(home, name).ok();
    }
    made
}

fn check_empty(home: &OwnedFd, site: &Site) -> Result<(), StageError> {
    let directory = match site {
        Site::New { .. } => return Ok(()),
        Site::Empty { name } => file::open_directory(home, name)?,
        Site::Inside => file::open_directory(home, Path::new("."))?,
    };
    if fs::lstat_at(&directory, Path::new(MANIFEST.trim_start_matches('/'))).is_ok() {
        return Err(StageError::IsJail);
    }
    let mut found = names(directory.as_fd())?;
    if matches!(site, Site::Inside) {
        found.retain(|name| name != Path::new(LOST_AND_FOUND));
    }
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(3);
    Err(StageError::NotEmpty { names: found })
}

/// The directory's name from `/`, as the kernel knows it.
fn absolute(home: &OwnedFd) -> Result<PathBuf, StageError> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", home.as_raw_fd());
    fs::read_link_at(rustix::fs::CWD, Path::new(&link))
        .map_err(|error| SysError::from_io("readlink", format_args!("{link:?}"), &error).into())
}

/// Takes the one lock that everyone who changes a jail in place holds while doing so.
///
/// # Errors
/// [`StageError::Busy`] when somebody else has it.
pub fn lock_jail(directory: BorrowedFd<'_>) -> Result<OwnedFd, StageError> {
    let lock = file::open_directory(directory, Path::new("."))?;
    if file::try_flock(&lock)? {
        Ok(lock)
    } else {
        Err(StageError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(base: &Path) -> Place {
        Place::at(HostPath::new(base.join("records"))).unwrap()
    }

    fn entries(path: &Path) -> Vec<PathBuf> {
        let fd = fs::open_directory(rustix::fs::CWD, path).unwrap();
        names(fd.as_fd()).unwrap()
    }

    #[test]
    fn it_appears_complete_or_not_at_all() {
        let base = tempfile::tempdir().unwrap();
        let place = place(base.path());
        let dir = HostPath::new(base.path().join("jail"));
        for abandon in [true, false] {
            let staging = Staging::begin(&dir, &place).unwrap();
            assert!(!dir.as_path().try_exists().unwrap());
            let again = Staging::begin(&dir, &place).unwrap_err();
            assert!(matches!(again, StageError::Busy), "{again}");
            let root = staging.root().unwrap();
            file::make_directory(root.fd(), Path::new("usr"), 0o755).unwrap();
            if abandon {
                staging.abandon().unwrap();
            } else {
                staging.commit().unwrap();
            }
        }
        assert_eq!(entries(dir.as_path()), [PathBuf::from("usr")]);
        assert_eq!(entries(base.path()).len(), 2, "jail and records");
        assert!(entries(&base.path().join("records")).is_empty());
        let error = Staging::begin(&dir, &place).unwrap_err();
        assert!(matches!(error, StageError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn what_a_killed_build_left_goes_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let place = place(base.path());
        let dir = HostPath::new(base.path().join("jail"));
        let staging = Staging::begin(&dir, &place).unwrap();
        let left = base.path().join(&staging.name);
        // As after SIGKILL: the lock is gone, the directory and the record stay.
        drop(staging);
        let other = base.path().join(".newroot-other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("precious"), "x").unwrap();
        Staging::begin(&dir, &place).unwrap().commit().unwrap();
        assert!(!left.try_exists().unwrap());
        assert!(other.join("precious").try_exists().unwrap());
    }

    #[test]
    fn a_link_to_a_directory_is_filled_from_inside() {
        let base = tempfile::tempdir().unwrap();
        let place = place(base.path());
        std::fs::create_dir(base.path().join("real")).unwrap();
        let link = base.path().join("link");
        std::os::unix::fs::symlink("real", &link).unwrap();
        let staging = Staging::begin(&HostPath::new(&link), &place).unwrap();
        let root = staging.root().unwrap();
        for name in ["usr", ".newroot"] {
            file::make_directory(root.fd(), Path::new(name), 0o755).unwrap();
        }
        staging.commit().unwrap();
        let names = entries(&base.path().join("real"));
        assert_eq!(names, [PathBuf::from(".newroot"), PathBuf::from("usr")]);
    }
}
