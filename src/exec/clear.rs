//! Taking a tree of ours away: every entry by its own type, links never followed, and never
//! across a mount (design rule 5).

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;

use super::ExecError;
use crate::model::Kind;
use crate::sys::{SysError, SysResult, file, fs};

/// Which mount a file is on: a bind mount of the same file system has the same device number,
/// but another mount id (statx(2), since 5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MountId {
    device: (u32, u32),
    mount: Option<u64>,
}

/// Removes everything below `directory`, and leaves it empty. A mount point stops it: nothing on
/// the mount is touched, what lies beside it is removed.
///
/// # Errors
/// The first entry that could not be removed; the rest is removed all the same.
pub fn clear_directory(directory: BorrowedFd<'_>) -> Result<(), ExecError> {
    let home = mount_of(directory)?;
    let mut first = None;
    empty(directory, home, Path::new(""), 0, &mut first);
    first.map_or(Ok(()), Err)
}

/// Removes the directory `name` of `parent` with everything in it.
///
/// # Errors
/// As [`clear_directory`].
pub fn remove_tree(parent: impl AsFd, name: &Path) -> Result<(), ExecError> {
    let directory = match file::open_directory(&parent, name) {
        Ok(directory) => directory,
        Err(error) if error.errno == Errno::NOENT => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if mount_of(parent.as_fd())? != mount_of(directory.as_fd())? {
        return Err(ExecError::Other(format!(
            "{} has something mounted on it",
            name.display()
        )));
    }
    clear_directory(directory.as_fd())?;
    drop(directory);
    file::remove_directory(&parent, name).map_err(ExecError::from)
}

/// Deeper trees than any path can name come only from somebody who means harm.
const DEEPEST: usize = 512;

fn empty(
    directory: BorrowedFd<'_>,
    home: MountId,
    shown: &Path,
    depth: usize,
    first: &mut Option<ExecError>,
) {
    let names = match listed(directory) {
        Ok(names) => names,
        Err(error) => {
            first.get_or_insert(at(shown, error));
            return;
        }
    };
    for name in names {
        let shown = shown.join(&name);
        if let Err(error) = remove_entry(directory, Path::new(&name), home, &shown, depth, first) {
            first.get_or_insert(at(&shown, error));
        }
    }
}

fn remove_entry(
    directory: BorrowedFd<'_>,
    name: &Path,
    home: MountId,
    shown: &Path,
    depth: usize,
    first: &mut Option<ExecError>,
) -> SysResult<()> {
    let meta = match fs::lstat_at(directory, name) {
        Ok(meta) => meta,
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => return Ok(()),
        Err(error) => {
            return Err(SysError::from_io(
                "fstatat",
                format_args!("{name:?}"),
                &error,
            ));
        }
    };
    if meta.kind != Kind::Directory {
        return writable_first(directory, || file::unlink(directory, name));
    }
    if depth < DEEPEST {
        let inner = enter(directory, name)?;
        if mount_of(inner.as_fd())? != home {
            return Err(SysError::new(
                "unlinkat",
                format_args!("{name:?}, AT_REMOVEDIR"),
                Errno::BUSY,
            ));
        }
        empty(inner.as_fd(), home, shown, depth + 1, first);
    }
    if first.is_some() {
        // It is not empty; the entry that is left has been told.
        return match file::remove_directory(directory, name) {
            Err(error) if error.errno == Errno::NOTEMPTY => Ok(()),
            other => other,
        };
    }
    writable_first(directory, || file::remove_directory(directory, name))
}

/// Opens a directory of ours; its own mode must not keep its owner out.
fn enter(directory: BorrowedFd<'_>, name: &Path) -> SysResult<OwnedFd> {
    match file::open_directory(directory, name) {
        Err(error) if error.errno == Errno::ACCESS => {
            let handle = fs::open_real_directory(directory, name)
                .map_err(|error| SysError::from_io("openat2", format_args!("{name:?}"), &error))?;
            file::set_mode_of_handle(&handle, 0o700)?;
            file::open_directory(directory, name)
        }
        other => other,
    }
}

/// Removing a name needs write permission on its directory, which a copied mode may not give.
fn writable_first(directory: BorrowedFd<'_>, remove: impl Fn() -> SysResult<()>) -> SysResult<()> {
    match remove() {
        Err(error) if error.errno == Errno::ACCESS => {
            file::set_mode(directory, 0o700)?;
            remove()
        }
        other => other,
    }
}

fn listed(directory: BorrowedFd<'_>) -> SysResult<Vec<OsString>> {
    // A descriptor of its own: reading moves the offset.
    let again = file::open_directory(directory, Path::new("."))?;
    fs::list_directory(again)
        .map_err(|error| SysError::from_io("getdents64", format_args!(""), &error))
}

fn mount_of(fd: BorrowedFd<'_>) -> SysResult<MountId> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask)
        .map_err(|errno| SysError::new("statx", format_args!("\"\", AT_EMPTY_PATH"), errno))?;
    let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    Ok(MountId {
        device: (found.stx_dev_major, found.stx_dev_minor),
        mount: told.then_some(found.stx_mnt_id),
    })
}

fn at(shown: &Path, source: SysError) -> ExecError {
    let what = if source.errno == Errno::BUSY {
        format!("remove {}: something is mounted there", shown.display())
    } else {
        format!("remove {}", shown.display())
    };
    ExecError::Step { what, source }
}

/// The names in a directory that is held open.
///
/// # Errors
/// The errno of getdents64(2).
pub(super) fn names(directory: BorrowedFd<'_>) -> SysResult<Vec<PathBuf>> {
    Ok(listed(directory)?.into_iter().map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_tree_goes_without_following_its_links() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("keep"), "x").unwrap();
        let base = tempfile::tempdir().unwrap();
        let tree = base.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.join("a/out")).unwrap();
        let shut = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(tree.join("a/b"), shut).unwrap();
        let parent = fs::open_directory(rustix::fs::CWD, base.path()).unwrap();
        remove_tree(&parent, Path::new("tree")).unwrap();
        assert!(!tree.try_exists().unwrap());
        assert!(outside.path().join("keep").try_exists().unwrap());
        remove_tree(&parent, Path::new("tree")).unwrap();
    }
}
