//! Files without a name until they are complete.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::{SysError, SysResult};

/// open(2) with O_TMPFILE in `directory`: gone with its last descriptor, whatever ends the
/// process, unless [`link`] gives it a name. Mode 0666 less the umask.
///
/// # Errors
/// EOPNOTSUPP or EISDIR where the file system or the kernel cannot; else the errno of open(2).
pub fn create(directory: &Path) -> SysResult<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(directory, flags, Mode::from_raw_mode(0o666))
        .map(File::from)
        .map_err(|errno| {
            let arguments = format_args!("{directory:?}, O_TMPFILE|O_RDWR, 0666");
            SysError::new("open", arguments, errno)
        })
}

/// linkat(2) of `/proc/self/fd/N`: gives the file its name. AT_EMPTY_PATH would do without /proc,
/// but wants CAP_DAC_READ_SEARCH.
///
/// # Errors
/// EEXIST when the name is taken; ENOENT without /proc; else the errno of linkat(2).
pub fn link(file: &File, path: &Path) -> SysResult<()> {
    use std::os::fd::AsRawFd;
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, &from, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(|errno| {
        let arguments = format_args!("AT_FDCWD, {from:?}, AT_FDCWD, {path:?}, AT_SYMLINK_FOLLOW");
        SysError::new("linkat", arguments, errno)
    })
}
