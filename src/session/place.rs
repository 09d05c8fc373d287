//! Where the records are, and reading them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::live::Dead;
use super::record::{Record, VERSION};
use super::{Process, SessionError, boot_id, output};
use crate::model::{HostPath, Kind};
use crate::sys::lock::DirectoryLock;
use crate::sys::{self, SysError};

/// A record is a few hundred bytes; what is longer is not ours.
const RECORD_LIMIT: usize = 1 << 20;

/// The private directory that holds the records of one user.
#[derive(Clone, Debug)]
pub struct Place {
    directory: Arc<OwnedFd>,
    path: HostPath,
}

/// See [`Place::alone`]; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "it ends when this is dropped"]
pub struct Alone {
    place: Place,
    _lock: DirectoryLock,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.place.leave_tmp();
    }
}

/// A session, and whether its supervisor lives.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it wrote down.
    pub record: Record,
    /// Whether its lock is held.
    pub alive: bool,
}

impl Entry {
    /// Whether a dead process left it, and not on purpose: what `cleanup` undoes.
    #[must_use]
    pub fn is_leftover(&self) -> bool {
        !self.alive && !self.record.standing
    }
}

impl Place {
    /// The caller's place: `/run/newroot` for root, else `newroot` in `runtime_directory`
    /// (XDG_RUNTIME_DIR), else `/tmp/newroot-UID`. Made when it is not there.
    ///
    /// # Errors
    /// [`SessionError::NotOurs`] when the directory is somebody else's or open to others.
    pub fn open(runtime_directory: Option<&Path>) -> Result<Self, SessionError> {
        Self::choose(runtime_directory, &Self::at)
    }

    /// The same place where it is there already; nothing is made.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn known(runtime_directory: Option<&Path>) -> Result<Option<Self>, SessionError> {
        match Self::choose(runtime_directory, &Self::existing) {
            Err(SessionError::Sys(error)) if error.errno == Errno::NOENT => Ok(None),
            found => found.map(Some),
        }
    }

    fn choose(
        runtime_directory: Option<&Path>,
        at: &dyn Fn(HostPath) -> Result<Self, SessionError>,
    ) -> Result<Self, SessionError> {
        let uid = rustix::process::geteuid().as_raw();
        let runtime = runtime_directory.filter(|path| path.is_absolute());
        let own = match runtime {
            Some(runtime) => runtime.join("newroot"),
            None => PathBuf::from(format!("/tmp/newroot-{uid}")),
        };
        if uid != 0 {
            return at(HostPath::new(own));
        }
        match at(HostPath::new("/run/newroot")) {
            // Root of a user namespace, or a machine without a writable /run.
            Err(SessionError::Sys(error))
                if [Errno::ACCESS, Errno::ROFS, Errno::NOENT].contains(&error.errno) =>
            {
                at(HostPath::new(own))
            }
            place => place,
        }
    }

    /// A place of a test.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub fn at(path: HostPath) -> Result<Self, SessionError> {
        match sys::file::make_directory(rustix::fs::CWD, path.as_path(), 0o700) {
            Err(error) if error.errno != Errno::EXIST => return Err(error.into()),
            _ => {}
        }
        Self::existing(path)
    }

    fn existing(path: HostPath) -> Result<Self, SessionError> {
        let uid = rustix::process::geteuid().as_raw();
        // O_NOFOLLOW and a look at the descriptor: in /tmp anyone can be there before us.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(rustix::fs::CWD, path.as_path(), flags, Mode::empty())
            .map_err(|errno| {
            SysError::new("openat", format_args!("{path}, O_DIRECTORY"), errno)
        })?;
        let meta = sys::fs::meta_of_fd(&directory)
            .map_err(|error| SysError::from_io("fstat", format_args!("{path}"), &error))?;
        if meta.uid != uid || meta.mode & 0o077 != 0 {
            return Err(SessionError::NotOurs {
                path: path.to_string(),
                uid,
            });
        }
        Ok(Self {
            directory: Arc::new(directory),
            path,
        })
    }

    /// Where it is, for showing.
    #[must_use]
    pub fn path(&self) -> &HostPath {
        &self.path
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The record of `id`.
    ///
    /// # Errors
    /// [`SessionError::Malformed`] when it is none.
    pub(super) fn read(&self, id: &str) -> Result<Record, SessionError> {
        let name = format!("{id}.json");
        let malformed = |why: String| SessionError::Malformed {
            name: name.clone(),
            why,
        };
        let bytes =
            read_bounded(self.fd(), Path::new(&name)).map_err(|error| {
                match sys::errno_of(&error) {
                    Errno::NOENT => SessionError::Missing { id: id.to_owned() },
                    errno => malformed(sys::describe(errno)),
                }
            })?;
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if record.version != VERSION || record.id != id {
            return Err(malformed(String::from("another version or name")));
        }
        Ok(record)
    }

    /// Whether the lock of `record` is held by somebody.
    fn alive(&self, record: &Record) -> bool {
        // Our own lock must not be opened again (closing it would drop the lock).
        if Process::this().is_ok_and(|this| this == record.supervisor) {
            return true;
        }
        let name = format!("{}.lock", record.id);
        sys::file::open_existing(self.fd(), Path::new(&name))
            .is_ok_and(|lock| sys::lock::is_locked(lock).unwrap_or(true))
    }

    /// Takes away what is void: records of another boot, and a lock without a record (its owner
    /// died between the two, before it had done anything). Not for a process that has a
    /// [`super::Live`]: looking at its own lock would drop it.
    ///
    /// # Errors
    /// Those of listing and removing.
    pub fn sweep(&self) -> Result<(), SessionError> {
        let boot = boot_id()?;
        for id in self.ids()? {
            if self.read(&id).is_ok_and(|record| record.boot != boot) {
                self.discard(&id)?;
            }
        }
        for name in self.names()? {
            let Some(id) = name.strip_suffix(".lock") else {
                continue;
            };
            let Ok(lock) = sys::file::open_existing(self.fd(), Path::new(&name)) else {
                continue;
            };
            // With the lock in hand nobody is between making it and writing the record.
            let ours = sys::lock::try_lock(&lock).unwrap_or(false);
            let recorded = self.read(id);
            if ours && matches!(recorded, Err(SessionError::Missing { .. })) {
                self.discard(id)?;
            }
        }
        Ok(())
    }

    /// The right to look into the devices of this machine, of which one process has it at a time:
    /// a look that is open keeps others from mounting, and a mount from looking. `None`: somebody
    /// else has it.
    ///
    /// # Errors
    /// Those of locking the directory.
    pub fn alone(&self) -> Result<Option<Alone>, SessionError> {
        let failed =
            |error: io::Error| SysError::from_io("flock", format_args!("{}", self.path), &error);
        let again = sys::fs::open_directory(self.fd(), Path::new(".")).map_err(failed)?;
        let lock = DirectoryLock::take(again).map_err(failed)?;
        Ok(lock.map(|lock| Alone {
            place: self.clone(),
            _lock: lock,
        }))
    }

    /// Opens a file of this directory for appending, mode 600; what is in it stays.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub(super) fn open_to_append(&self, name: &str) -> Result<OwnedFd, SessionError> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::APPEND
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(self.fd(), Path::new(name), flags, mode)
            .map_err(|errno| SysError::new("openat", format_args!("{name:?}, O_APPEND"), errno))?;
        Ok(file)
    }

    /// The outputs of programs whose terminal went away: the session's name, and the file. They
    /// stay when the session has ended.
    ///
    /// # Errors
    /// Those of listing the directory.
    pub fn outputs(&self) -> Result<Vec<(String, PathBuf)>, SessionError> {
        let names = self.names()?.into_iter();
        let outputs = names.filter_map(|name| {
            let id = name.strip_suffix(output::ENDING)?.to_owned();
            Some((id, self.path.as_path().join(name)))
        });
        Ok(outputs.collect())
    }

    fn ids(&self) -> Result<Vec<String>, SessionError> {
        Ok(self
            .names()?
            .iter()
            .filter_map(|name| name.strip_suffix(".json"))
            .map(str::to_owned)
            .collect())
    }

    fn names(&self) -> Result<Vec<String>, SessionError> {
        let read = |error: io::Error| {
            SysError::from_io("getdents64", format_args!("{}", self.path), &error)
        };
        let again = sys::fs::open_directory(self.fd(), Path::new(".")).map_err(read)?;
        let names = sys::fs::list_directory(again).map_err(read)?;
        Ok(names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect())
    }

    /// Takes over a dead session so that its items can be undone; `None` when it lives, or when
    /// somebody else was faster.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn take_dead(&self, id: &str) -> Result<Option<Dead>, SessionError> {
        Dead::take(self, id)
    }

    /// Takes away what another boot left of `id`: nothing that it names exists any more.
    ///
    /// # Errors
    /// The errno of unlinkat(2).
    pub(super) fn discard(&self, id: &str) -> Result<(), SessionError> {
        // The third one is left by a death between writing a record and renaming it.
        for name in [
            format!("{id}.json"),
            format!(".{id}.next"),
            format!("{id}.lock"),
        ] {
            match sys::file::unlink(self.fd(), Path::new(&name)) {
                Err(error) if error.errno != Errno::NOENT => return Err(error.into()),
                _ => {}
            }
        }
        self.leave_tmp();
        Ok(())
    }

    /// In /tmp nothing of ours stays, not even an empty directory. Elsewhere it is the system's
    /// own and goes with the boot or the login. ENOTEMPTY: another session is there.
    fn leave_tmp(&self) {
        if self.path.as_path().parent() == Some(Path::new("/tmp")) {
            sys::file::remove_directory(rustix::fs::CWD, self.path.as_path()).ok();
        }
    }
}

/// Every session of this boot, oldest first. Records of another boot are void and not listed;
/// unreadable ones are returned beside, as errors.
///
/// # Errors
/// Those of listing the directory.
pub fn list(place: &Place) -> Result<(Vec<Entry>, Vec<SessionError>), SessionError> {
    let boot = boot_id()?;
    let mut entries = Vec::new();
    let mut unreadable = Vec::new();
    for id in place.ids()? {
        match place.read(&id) {
            Ok(record) if record.boot == boot => {
                let alive = place.alive(&record);
                entries.push(Entry { record, alive });
            }
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
    entries.sort_by(|a, b| (a.record.created, &a.record.id).cmp(&(b.record.created, &b.record.id)));
    Ok((entries, unreadable))
}

fn read_bounded(directory: BorrowedFd<'_>, name: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let flags = sys::fs::READ_FLAGS | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let meta = sys::fs::meta_of_fd(&file)?;
    if meta.kind != Kind::File {
        return Err(Errno::INVAL.into());
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(RECORD_LIMIT as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
