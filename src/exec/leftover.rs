//! What a killed build left: found by its marker or by its record, and removed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::ExecError;
use super::clear::{names, remove_tree};
use super::sessions::{Fate, clean_up};
use super::stage::{KIND, MARKER, MOVING, StageError};
use crate::model::{Kind, MANIFEST};
use crate::root::TreeFile;
use crate::session::{Place, list};
use crate::sys::{file, fs};

/// Begins the name of every staging directory (as [`crate::session::Live::staging_name`] makes
/// them).
const PREFIX: &[u8] = b".newroot-";

/// Removes what killed builds of the same directory left. Only what is the caller's own and
/// carries the marker counts.
pub(super) fn clear_leftovers(home: &OwnedFd, for_name: &Path) -> Result<(), StageError> {
    for name in names(home.as_fd())? {
        if !name.as_os_str().as_bytes().starts_with(PREFIX) {
            continue;
        }
        let Ok(directory) = file::open_directory(home, &name) else {
            continue;
        };
        let ours = fs::meta_of_fd(&directory)
            .is_ok_and(|meta| meta.uid == rustix::process::geteuid().as_raw());
        if !ours
            || read_small(&directory, MARKER).as_deref() != Some(for_name.as_os_str().as_bytes())
        {
            continue;
        }
        if !file::try_flock(&directory)? {
            return Err(StageError::Busy);
        }
        if for_name == Path::new(".") {
            take_back(home, &directory).map_err(StageError::Leftover)?;
        }
        remove_tree(home, &name).map_err(StageError::Leftover)?;
    }
    Ok(())
}

/// Ends the records of killed builds of the same directory, with what they name.
pub(super) fn clear_records(place: &Place, root: &Path) -> Result<(), StageError> {
    // A record that cannot be read is for `cleanup` to tell.
    let (entries, _unreadable) = list(place)?;
    for entry in entries {
        let record = &entry.record;
        if entry.alive || record.kind != KIND || record.root != root {
            continue;
        }
        for fate in clean_up(place, &record.id)?.into_iter().flatten() {
            if let Fate::Failed(error) = fate {
                return Err(StageError::Leftover(error));
            }
        }
    }
    Ok(())
}

/// Takes back what was moved out of a staging directory that is about to be removed.
///
/// # Errors
/// What could not be removed.
pub(super) fn undo_move(home: &OwnedFd, name: &Path) -> Result<(), ExecError> {
    let Ok(directory) = file::open_directory(home, name) else {
        return Ok(());
    };
    if read_small(&directory, MARKER).as_deref() == Some(b".".as_slice()) {
        take_back(home, &directory)?;
    }
    Ok(())
}

/// Undoes a move into a mount point that was cut short: what is on the list and there is ours,
/// since the directory was empty before. With the manifest in place it was complete.
pub(super) fn take_back(home: &OwnedFd, directory: &OwnedFd) -> Result<(), ExecError> {
    if fs::lstat_at(home, Path::new(MANIFEST.trim_start_matches('/'))).is_ok() {
        return Ok(());
    }
    let list = read_small(directory, MOVING).unwrap_or_default();
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = Path::new(OsStr::from_bytes(name));
        match fs::lstat_at(home, name) {
            Ok(meta) if meta.kind == Kind::Directory => remove_tree(home, name)?,
            Ok(_) => file::unlink(home, name)?,
            Err(_) => {}
        }
    }
    Ok(())
}

fn read_small(directory: &OwnedFd, name: &str) -> Option<Vec<u8>> {
    const LIMIT: usize = 1 << 20;
    let file = TreeFile::Fd(file::open_existing(directory, Path::new(name)).ok()?);
    let meta = file.meta().ok()?;
    let size = usize::try_from(meta.size)
        .ok()
        .filter(|size| *size <= LIMIT)?;
    let mut bytes = vec![0; size];
    let count = file.read_at(&mut bytes, 0).ok()?;
    bytes.truncate(count);
    Some(bytes)
}
