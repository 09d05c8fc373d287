//! Putting one file of the system in place: complete or not at all.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use crate::model::HostPath;
use crate::sys::{self, SysError, SysResult, file};

/// Writes `bytes` to `path` with permissions 0644, replacing what was there by a rename. The
/// directory must be there.
///
/// # Errors
/// The call that failed; the old file is as it was then.
pub fn install_file(path: &HostPath, bytes: &[u8]) -> SysResult<()> {
    let parts = path.as_path().parent().zip(path.as_path().file_name());
    let (parent, name) =
        parts.ok_or_else(|| SysError::new("openat", format_args!("{path}"), Errno::INVAL))?;
    let directory = sys::fs::open_directory(rustix::fs::CWD, parent)
        .map_err(|error| SysError::from_io("openat", format_args!("{parent:?}"), &error))?;
    let next = format!(".{}.newroot", name.to_string_lossy());
    let next = Path::new(&next);
    match file::unlink(&directory, next) {
        Err(error) if error.errno != Errno::NOENT => return Err(error),
        _ => {}
    }
    let made = file::create_new(&directory, next, 0o644)?;
    let written = file::write_all(made.as_fd(), bytes)
        .and_then(|()| file::set_mode(made.as_fd(), 0o644))
        .and_then(|()| file::rename_in(&directory, next, Path::new(name)));
    if written.is_err() {
        file::unlink(&directory, next).ok();
    }
    written
}
