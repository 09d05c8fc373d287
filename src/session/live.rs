//! A session as its owner holds it: the living one, and a dead one that is being cleaned up.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

use super::record::{Record, VERSION};
use super::{Item, ItemId, Output, Place, Planned, Process, SessionError, State, boot_id};
use crate::sys::{self, SysError};

/// What is known when a session begins.
#[derive(Clone, Debug)]
pub struct New {
    /// The verb: `enter`, `try`, `build`.
    pub kind: &'static str,
    /// The directory that serves as `/`, absolute on the host.
    pub root: PathBuf,
    /// What runs in it; empty when nothing does.
    pub command: Vec<OsString>,
}

/// A record and the lock that is held on it.
#[derive(Debug)]
struct Held {
    place: Place,
    record: Record,
    /// Held until this is dropped or the process ends.
    lock: OwnedFd,
}

/// The session of this process. End it with [`Live::finish`]; when it is dropped the record stays
/// for `newroot cleanup`.
#[must_use = "the record stays until finish"]
#[derive(Debug)]
pub struct Live(Held);

/// A session whose process is dead, locked by whoever cleans it up.
#[must_use = "nothing was cleaned up yet"]
#[derive(Debug)]
pub struct Dead(Held);

impl Live {
    /// Begins a session: takes a name nobody has, its lock, and writes the first record.
    ///
    /// # Errors
    /// Those of making files in the place.
    pub fn create(place: &Place, new: New) -> Result<Self, SessionError> {
        let boot = boot_id()?;
        let (id, lock) = take_name(place, &new.root)?;
        let held = Held {
            place: place.clone(),
            record: Record {
                version: VERSION,
                id,
                kind: new.kind.to_owned(),
                boot,
                supervisor: Process::this()?,
                init: None,
                payload: None,
                root: new.root,
                command: new.command,
                created: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
                items: Vec::new(),
                next_item: 1,
                standing: false,
                names: Vec::new(),
                output: PathBuf::new(),
            },
            lock,
        };
        held.write()?;
        Ok(Self(held))
    }

    /// What is written down.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.0.record
    }

    /// The session's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.record.id
    }

    /// The name that a staging directory of this session has: it is what identifies one that was
    /// planned and whose inode was not written down any more.
    #[must_use]
    pub fn staging_name(&self) -> String {
        self.0.record.staging_name()
    }

    /// Writes down the init of the session's PID namespace.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn set_init(&mut self, init: Process) -> Result<(), SessionError> {
        self.0.record.init = Some(init);
        self.0.write()
    }

    /// Writes down the program that went into a mount namespace of its own.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn set_payload(&mut self, payload: Process) -> Result<(), SessionError> {
        self.0.record.payload = Some(payload);
        self.0.write()
    }

    /// Nothing runs in the session any more; the session itself goes on.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn set_idle(&mut self) -> Result<(), SessionError> {
        self.0.record.init = None;
        self.0.record.payload = None;
        self.0.write()
    }

    /// Writes down what will be done. Only then may it be done.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn plan(&mut self, item: Item) -> Result<ItemId, SessionError> {
        let id = ItemId(self.0.record.next_item);
        self.0.record.next_item += 1;
        self.0.record.items.push(Planned {
            id,
            state: State::Planned,
            item,
        });
        self.0.write()?;
        Ok(id)
    }

    /// It was done.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn done(&mut self, id: ItemId) -> Result<(), SessionError> {
        self.0.change(id, |planned| planned.state = State::Done)
    }

    /// It was done, and only now it is known exactly what (an inode, a number).
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn done_as(&mut self, id: ItemId, item: Item) -> Result<(), SessionError> {
        self.0.change(id, |planned| {
            planned.state = State::Done;
            planned.item = item;
        })
    }

    /// It was undone, or shall stay.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn forget(&mut self, id: ItemId) -> Result<(), SessionError> {
        self.0.forget(id)
    }

    /// A place for what its program writes.
    #[must_use]
    pub fn output(&self) -> Output {
        Output::new(&self.0.place, self.id())
    }

    /// Writes down where the output is since the terminal went away.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn set_output(&mut self, path: PathBuf) -> Result<(), SessionError> {
        self.0.record.output = path;
        self.0.write()
    }

    /// Writes down what people call the target, and where it is.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn set_target(&mut self, names: Vec<String>, root: &Path) -> Result<(), SessionError> {
        self.0.record.names = names;
        self.0.record.root = root.to_path_buf();
        self.0.write()
    }

    /// What it holds shall stay when this process has ended.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn stand(mut self) -> Result<(), SessionError> {
        self.0.record.standing = true;
        self.0.write()?;
        self.0.finish()
    }

    /// Ends the session. With items left the record stays for `newroot cleanup`.
    ///
    /// # Errors
    /// Those of removing the record.
    pub fn finish(self) -> Result<(), SessionError> {
        self.0.finish()
    }
}

impl Dead {
    pub(super) fn take(place: &Place, id: &str) -> Result<Option<Self>, SessionError> {
        let record = place.read(id)?;
        if Process::this().is_ok_and(|this| this == record.supervisor) {
            return Ok(None);
        }
        let name = format!("{id}.lock");
        let lock = match sys::file::open_existing(place.fd(), Path::new(&name)) {
            Ok(lock) => lock,
            Err(error) if error.errno == Errno::NOENT => {
                sys::file::create_new(place.fd(), Path::new(&name), 0o600)?
            }
            Err(error) => return Err(error.into()),
        };
        let locked = sys::lock::try_lock(&lock)
            .map_err(|error| SysError::from_io("fcntl", format_args!("{name}, F_SETLK"), &error))?;
        if !locked {
            return Ok(None);
        }
        // Somebody else may have cleaned up between our look and our lock.
        Ok(place.read(id).ok().map(|record| {
            Self(Held {
                place: place.clone(),
                record,
                lock,
            })
        }))
    }

    /// What it wrote down.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.0.record
    }

    /// The item was undone.
    ///
    /// # Errors
    /// Those of writing the record.
    pub fn forget(&mut self, id: ItemId) -> Result<(), SessionError> {
        self.0.forget(id)
    }

    /// Removes the record when nothing is left in it.
    ///
    /// # Errors
    /// Those of removing it.
    pub fn finish(self) -> Result<(), SessionError> {
        self.0.finish()
    }
}

impl Record {
    /// See [`Live::staging_name`].
    #[must_use]
    pub fn staging_name(&self) -> String {
        format!(".newroot-{}", self.id)
    }
}

impl Held {
    fn change(&mut self, id: ItemId, how: impl FnOnce(&mut Planned)) -> Result<(), SessionError> {
        if let Some(planned) = self.record.items.iter_mut().find(|item| item.id == id) {
            how(planned);
        }
        self.write()
    }

    fn forget(&mut self, id: ItemId) -> Result<(), SessionError> {
        self.record.items.retain(|item| item.id != id);
        self.write()
    }

    /// Replaces the record: whoever reads it sees the old one or the new one. No fsync: what it
    /// describes does not outlive the boot either.
    fn write(&self) -> Result<(), SessionError> {
        let name = format!("{}.json", self.record.id);
        let next = format!(".{}.next", self.record.id);
        let (name, next) = (Path::new(&name), Path::new(&next));
        let bytes = serde_json::to_vec(&self.record).map_err(|error| SessionError::Malformed {
            name: self.record.id.clone(),
            why: error.to_string(),
        })?;
        let file = match sys::file::create_new(self.place.fd(), next, 0o600) {
            Err(error) if error.errno == Errno::EXIST => {
                // Left by a death between the two calls; the lock says that it is ours.
                sys::file::unlink(self.place.fd(), next)?;
                sys::file::create_new(self.place.fd(), next, 0o600)?
            }
            made => made?,
        };
        sys::file::write_all(file, &bytes)?;
        sys::file::rename_in(self.place.fd(), next, name)?;
        Ok(())
    }

    fn finish(self) -> Result<(), SessionError> {
        if self.record.items.is_empty() {
            self.place.discard(&self.record.id)?;
        }
        drop(self.lock);
        Ok(())
    }
}

/// A name like `mnt-3f2a`, and the lock on it.
fn take_name(place: &Place, root: &Path) -> Result<(String, OwnedFd), SessionError> {
    let base = short_name(root);
    loop {
        let mut random = [0; 2];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| SysError::new("getrandom", format_args!("2"), errno))?;
        let id = format!("{base}-{:02x}{:02x}", random[0], random[1]);
        let name = format!("{id}.lock");
        match sys::file::create_new(place.fd(), Path::new(&name), 0o600) {
            Ok(lock) => {
                let locked = sys::lock::try_lock(&lock).map_err(|error| {
                    SysError::from_io("fcntl", format_args!("{name}, F_SETLK"), &error)
                })?;
                // A sweep may have locked the new file first, and removed it.
                let is_there = sys::fs::meta_of_fd(&lock).is_ok_and(|meta| meta.links > 0);
                if locked && is_there {
                    return Ok((id, lock));
                }
            }
            Err(error) if error.errno == Errno::EXIST => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last part of the root's path as far as it is plain text.
fn short_name(root: &Path) -> String {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    if plain.is_empty() {
        String::from("root")
    } else {
        plain.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostPath;
    use crate::session::list;

    fn place() -> (tempfile::TempDir, Place) {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::at(HostPath::new(directory.path().join("newroot"))).unwrap();
        (directory, place)
    }

    fn new() -> New {
        New {
            kind: "enter",
            root: PathBuf::from("/mnt"),
            command: vec![OsString::from("/bin/sh")],
        }
    }

    #[test]
    fn a_record_lives_from_create_to_finish() {
        let (_directory, place) = place();
        let mut live = Live::create(&place, new()).unwrap();
        assert!(live.id().starts_with("mnt-"));
        let path = PathBuf::from("/srv/.newroot-x");
        let id = live
            .plan(Item::StagingPlanned { path: path.clone() })
            .unwrap();
        let staging = Item::Staging {
            path,
            device: 1,
            inode: 2,
        };
        live.done_as(id, staging.clone()).unwrap();
        let (entries, unreadable) = list(&place).unwrap();
        assert!(unreadable.is_empty());
        assert!(entries[0].alive);
        assert_eq!(entries[0].record.items[0].state, State::Done);
        assert_eq!(entries[0].record.items[0].item, staging);
        live.forget(id).unwrap();
        live.finish().unwrap();
        assert!(list(&place).unwrap().0.is_empty());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_left_keeps_the_record() {
        let (_directory, place) = place();
        let mut live = Live::create(&place, new()).unwrap();
        live.plan(Item::MountPoint {
            path: PathBuf::from("/x"),
        })
        .unwrap();
        live.finish().unwrap();
        assert_eq!(list(&place).unwrap().0.len(), 1);
    }

    #[test]
    fn void_records_and_locks_without_a_record_are_swept() {
        let (_directory, place) = place();
        let live = Live::create(&place, new()).unwrap();
        let file = place.path().join(format!("{}.json", live.id()));
        let text = std::fs::read_to_string(&file).unwrap();
        let earlier = text
            .replace(live.id(), "old-0000")
            .replace(&live.record().boot, "another boot");
        std::fs::write(place.path().join("old-0000.json"), earlier).unwrap();
        std::fs::write(place.path().join("half-0000.lock"), "").unwrap();
        assert_eq!(list(&place).unwrap().0.len(), 1);
        drop(live);
        place.sweep().unwrap();
        let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn names_are_plain_text() {
        assert_eq!(short_name(Path::new("/")), "root");
        assert_eq!(short_name(Path::new("/srv/a\x1b[31m b")), "a31mb");
        assert_eq!(short_name(Path::new("/srv/../..")), "root");
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("open");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = Place::at(HostPath::new(&path)).unwrap_err();
        assert!(matches!(error, SessionError::NotOurs { .. }), "{error}");
    }
}
