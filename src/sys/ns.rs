//! Namespaces: leaving the inherited ones, joining another process's.
//!
//! The caller has one thread, as everywhere where processes are made (design rule 9):
//! unshare(CLONE_NEWUSER) and setns into a user or mount namespace refuse anything else.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::thread::UnshareFlags;

use super::{SysError, SysResult};

/// unshare(CLONE_NEWNS), with CLONE_NEWUSER where the caller has no privilege of its own.
///
/// # Errors
/// EPERM, ENOSPC (user.max_user_namespaces), EUSERS: the errno of unshare(2).
#[expect(
    unsafe_code,
    reason = "rustix marks unshare unsafe because of CLONE_FILES"
)]
pub fn unshare(user: bool) -> SysResult<()> {
    let mut flags = UnshareFlags::NEWNS;
    if user {
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: neither flag touches the table of descriptors, which is what the call is unsafe for.
    unsafe { rustix::thread::unshare_unsafe(flags) }
        .map_err(|errno| SysError::new("unshare", format_args!("{flags:?}"), errno))
}

/// Writes a file of `/proc/self` in one write(2): `setgroups`, `uid_map`, `gid_map`.
///
/// # Errors
/// The errno of write(2): EPERM where a security module forbids the map.
pub fn write_own(name: &str, text: &str) -> SysResult<()> {
    let path = Path::new("/proc/self").join(name);
    let fail = |call, errno| SysError::new(call, format_args!("{path:?}, {text:?}"), errno);
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::openat(rustix::fs::CWD, &path, flags, rustix::fs::Mode::empty())
        .map_err(|errno| fail("openat", errno))?;
    rustix::io::write(&file, text.as_bytes()).map_err(|errno| fail("write", errno))?;
    Ok(())
}

/// setns(2) into whatever namespace this file of `/proc/PID/ns` is. By a pidfd it would take
/// Linux 5.8.
///
/// # Errors
/// The errno of setns(2).
pub fn join(namespace: impl AsFd) -> SysResult<()> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), None)
        .map_err(|errno| SysError::new("setns", format_args!(""), errno))
}

/// setns(2) into a mount namespace by its file in `/proc`; `/` and the working directory become
/// that namespace's topmost root.
///
/// # Errors
/// The errno of setns(2).
pub fn join_mounts(namespace: impl AsFd) -> SysResult<()> {
    let kind = Some(rustix::thread::LinkNameSpaceType::Mount);
    rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)
        .map_err(|errno| SysError::new("setns", format_args!("CLONE_NEWNS"), errno))
}

/// The inode of `/proc/PID/ns/KIND`: what tells namespaces apart.
///
/// # Errors
/// ENOENT when there is no such process, EACCES when it is not ours to look at.
pub fn inode(pid: i32, kind: &str) -> io::Result<u64> {
    let path = format!("/proc/{pid}/ns/{kind}");
    super::fs::stat_at(rustix::fs::CWD, Path::new(&path)).map(|meta| meta.id.inode)
}

/// The inode of this process's own namespace, whatever its number is in /proc.
///
/// # Errors
/// ENOENT when /proc is not there.
pub fn inode_of_this(kind: &str) -> io::Result<u64> {
    let path = format!("/proc/self/ns/{kind}");
    super::fs::stat_at(rustix::fs::CWD, Path::new(&path)).map(|meta| meta.id.inode)
}

/// chroot("."): the working directory becomes `/`.
///
/// # Errors
/// The errno of chroot(2).
pub fn change_root_here() -> SysResult<()> {
    rustix::process::chroot(".")
        .map_err(|errno| SysError::new("chroot", format_args!("\".\""), errno))
}

/// fchdir(2).
///
/// # Errors
/// The errno of fchdir(2).
pub fn change_directory(directory: impl AsFd) -> SysResult<()> {
    rustix::process::fchdir(directory)
        .map_err(|errno| SysError::new("fchdir", format_args!(""), errno))
}

/// chdir(2).
///
/// # Errors
/// The errno of chdir(2).
pub fn change_directory_to(path: &Path) -> SysResult<()> {
    rustix::process::chdir(path)
        .map_err(|errno| SysError::new("chdir", format_args!("{path:?}"), errno))
}
