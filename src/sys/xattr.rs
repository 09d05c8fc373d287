//! Extended attributes of open files.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::{SysError, SysResult};

/// flistxattr(2). A file system without attributes has none.
///
/// # Errors
/// EACCES, EIO.
pub fn list(fd: impl AsFd) -> SysResult<Vec<CString>> {
    let failed = |errno| SysError::new("flistxattr", format_args!(""), errno);
    let mut names = vec![0_u8; 512];
    let length = loop {
        match rustix::fs::flistxattr(&fd, names.as_mut_slice()) {
            Ok(length) => break length,
            Err(Errno::RANGE) => {
                let grown = names.len() * 4;
                // The kernel's own limit is 64 KiB (XATTR_LIST_MAX).
                if grown > 1 << 20 {
                    return Err(failed(Errno::RANGE));
                }
                names.resize(grown, 0);
            }
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(failed(errno)),
        }
    };
    Ok(names[..length]
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .map(CStr::to_owned)
        .collect())
}

/// fgetxattr(2). `None` when the file has no such attribute.
///
/// # Errors
/// EACCES, EIO.
pub fn get(fd: impl AsFd, name: &CStr) -> SysResult<Option<Vec<u8>>> {
    let failed = |errno| SysError::new("fgetxattr", format_args!("{name:?}"), errno);
    let mut value = vec![0_u8; 256];
    loop {
        match rustix::fs::fgetxattr(&fd, name, value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < 1 << 20 => {
                let grown = value.len() * 4;
                value.resize(grown, 0);
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// fsetxattr(2).
///
/// # Errors
/// EPERM for `security.*` and `trusted.*` without privilege, EOPNOTSUPP, ENOSPC.
pub fn set(fd: impl AsFd, name: &CStr, value: &[u8]) -> SysResult<()> {
    rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()).map_err(|errno| {
        SysError::new(
            "fsetxattr",
            format_args!("{name:?}, {} bytes", value.len()),
            errno,
        )
    })
}
