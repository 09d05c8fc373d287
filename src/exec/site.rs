//! Where a new directory is staged: beside its name, or inside of it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::stage::StageError;
use crate::model::{HostPath, Kind};
use crate::sys::{SysError, errno_of, fs};

/// Where the entries end up.
#[derive(Debug)]
pub(super) enum Site {
    /// Renamed to a name that is free.
    New { name: PathBuf },
    /// Renamed over an empty directory.
    Empty { name: PathBuf },
    /// Moved out of the staging directory one by one.
    Inside,
}

/// Where the staging directory goes, and the name that its marker carries.
pub(super) fn survey(dir: &HostPath) -> Result<(OwnedFd, Site, PathBuf), StageError> {
    let path = dir.as_path();
    let inside = |path: &Path| -> Result<_, StageError> {
        let home = open_home(path)?;
        Ok((home, Site::Inside, PathBuf::from(".")))
    };
    let Some(name) = path.file_name().map(PathBuf::from) else {
        return inside(path);
    };
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let home = open_home(above)?;
    let meta = match fs::lstat_at(&home, &name) {
        Ok(meta) => meta,
        Err(error) if errno_of(&error) == Errno::NOENT => {
            return Ok((home, Site::New { name: name.clone() }, name));
        }
        Err(error) => {
            return Err(SysError::from_io("fstatat", format_args!("{path:?}"), &error).into());
        }
    };
    match meta.kind {
        // What the link leads to keeps its name and its place.
        Kind::Link => inside(path),
        Kind::Directory if is_mount_point(&home, &name)? || !may_write(&home) => inside(path),
        Kind::Directory => Ok((home, Site::Empty { name: name.clone() }, name)),
        _ => Err(StageError::NotADirectory),
    }
}

fn open_home(path: &Path) -> Result<OwnedFd, StageError> {
    fs::open_directory(rustix::fs::CWD, path).map_err(|error| match errno_of(&error) {
        Errno::NOENT => StageError::NoParent(path.to_path_buf()),
        Errno::NOTDIR => StageError::NotADirectory,
        _ => SysError::from_io("openat", format_args!("{path:?}, O_DIRECTORY"), &error).into(),
    })
}

fn may_write(directory: &OwnedFd) -> bool {
    rustix::fs::accessat(
        directory,
        ".",
        rustix::fs::Access::WRITE_OK,
        AtFlags::EACCESS,
    )
    .is_ok()
}

/// statx(2) says so since 5.8; before, another device number than the parent's does, which a
/// bind mount of the same file system escapes: renaming over it then fails with EBUSY.
fn is_mount_point(home: &OwnedFd, name: &Path) -> Result<bool, StageError> {
    let found = rustix::fs::statx(
        home,
        name,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )
    .map_err(|errno| SysError::new("statx", format_args!("{name:?}"), errno))?;
    if found
        .stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT)
    {
        return Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT));
    }
    let meta = fs::meta_of_fd(home)
        .map_err(|error| SysError::from_io("fstat", format_args!(""), &error))?;
    let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok(meta.id.device != device)
}
