//! Making, filling and removing files: `*at` calls on a directory that is held open.
//!
//! Creation is always exclusive and never through a link (`O_EXCL|O_NOFOLLOW`), so whoever else
//! writes to the directory can at worst make a call fail.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::fs::{Gid, SeekFrom, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::{SysError, SysResult};

fn failed<T>(
    done: Result<T, Errno>,
    call: &'static str,
    arguments: fmt::Arguments<'_>,
) -> SysResult<T> {
    done.map_err(|errno| SysError::new(call, arguments, errno))
}

/// mkdirat(2).
///
/// # Errors
/// EEXIST, EACCES, ENOSPC, EROFS and so on.
pub fn make_directory(directory: impl AsFd, name: &Path, mode: u32) -> SysResult<()> {
    let done = rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(mode));
    failed(done, "mkdirat", format_args!("{name:?}, {mode:#o}"))
}

/// openat(O_CREAT|O_EXCL|O_NOFOLLOW) for reading and writing.
///
/// # Errors
/// EEXIST when anything has that name, a dangling link included.
pub fn create_new(directory: impl AsFd, name: &Path, mode: u32) -> SysResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let done = rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode));
    let what = format_args!("{name:?}, O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, {mode:#o}");
    failed(done, "openat", what)
}

/// openat(O_RDWR|O_NOFOLLOW) of a file that exists.
///
/// # Errors
/// The errno of openat(2).
pub fn open_existing(directory: impl AsFd, name: &Path) -> SysResult<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let done = rustix::fs::openat(directory, name, flags, Mode::empty());
    failed(done, "openat", format_args!("{name:?}, O_RDWR"))
}

/// openat(2) of a directory itself, never of a link to one.
///
/// # Errors
/// ENOTDIR when it is a link or no directory.
pub fn open_directory(directory: impl AsFd, name: &Path) -> SysResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let done = rustix::fs::openat(directory, name, flags, Mode::empty());
    let what = format_args!("{name:?}, O_RDONLY|O_DIRECTORY|O_NOFOLLOW");
    failed(done, "openat", what)
}

/// symlinkat(2).
///
/// # Errors
/// As [`make_directory`].
pub fn make_link(target: &Path, directory: impl AsFd, name: &Path) -> SysResult<()> {
    let done = rustix::fs::symlinkat(target, directory, name);
    failed(done, "symlinkat", format_args!("{target:?}, {name:?}"))
}

/// linkat(2) of a name itself; links are not followed.
///
/// # Errors
/// EEXIST, EMLINK, EXDEV and so on.
pub fn make_hard_link(
    from: impl AsFd,
    existing: &Path,
    directory: impl AsFd,
    name: &Path,
) -> SysResult<()> {
    let done = rustix::fs::linkat(from, existing, directory, name, AtFlags::empty());
    failed(done, "linkat", format_args!("{existing:?}, {name:?}"))
}

/// mknodat(2).
///
/// # Errors
/// EPERM without CAP_MKNOD in the initial user namespace.
pub fn make_node(
    directory: impl AsFd,
    name: &Path,
    block: bool,
    (major, minor): (u32, u32),
    mode: u32,
) -> SysResult<()> {
    let kind = if block {
        FileType::BlockDevice
    } else {
        FileType::CharacterDevice
    };
    let device = rustix::fs::makedev(major, minor);
    let bits = Mode::from_raw_mode(mode);
    let done = rustix::fs::mknodat(directory, name, kind, bits, device);
    let what = format_args!("{name:?}, {kind:?}|{mode:#o}, makedev({major}, {minor})");
    failed(done, "mknodat", what)
}

/// unlinkat(2) of anything but a directory.
///
/// # Errors
/// ENOENT, EACCES, EBUSY for a mount point, EISDIR.
pub fn unlink(directory: impl AsFd, name: &Path) -> SysResult<()> {
    let done = rustix::fs::unlinkat(directory, name, AtFlags::empty());
    failed(done, "unlinkat", format_args!("{name:?}"))
}

/// unlinkat(2) with AT_REMOVEDIR.
///
/// # Errors
/// ENOTEMPTY, EBUSY for a mount point.
pub fn remove_directory(directory: impl AsFd, name: &Path) -> SysResult<()> {
    let done = rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR);
    failed(done, "unlinkat", format_args!("{name:?}, AT_REMOVEDIR"))
}

/// renameat(2): replaces what has the new name.
///
/// # Errors
/// EXDEV, ENOTEMPTY, EISDIR and so on.
pub fn rename(from: impl AsFd, old: &Path, to: impl AsFd, new: &Path) -> SysResult<()> {
    let done = rustix::fs::renameat(from, old, to, new);
    failed(done, "renameat", format_args!("{old:?}, {new:?}"))
}

/// renameat(2) inside one directory.
///
/// # Errors
/// The errno of renameat(2).
pub fn rename_in(directory: impl AsFd, from: &Path, to: &Path) -> SysResult<()> {
    rename(&directory, from, &directory, to)
}

/// renameat2(2) with RENAME_NOREPLACE; EINVAL where the file system cannot (the caller decides).
///
/// # Errors
/// EEXIST when the new name is taken.
pub fn rename_new(from: impl AsFd, old: &Path, to: impl AsFd, new: &Path) -> SysResult<()> {
    let done = rustix::fs::renameat_with(from, old, to, new, RenameFlags::NOREPLACE);
    failed(
        done,
        "renameat2",
        format_args!("{old:?}, {new:?}, RENAME_NOREPLACE"),
    )
}

/// write(2) until everything is written.
///
/// # Errors
/// ENOSPC, EDQUOT, EIO; EFBIG.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> SysResult<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(0) => return failed(Err(Errno::IO), "write", format_args!("{}", bytes.len())),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return failed(Err(errno), "write", format_args!("{}", bytes.len())),
        }
    }
    Ok(())
}

/// ioctl(FICLONE): both files share their blocks from now on.
///
/// # Errors
/// EOPNOTSUPP, EXDEV, EINVAL: not on this file system, the caller copies instead.
pub fn clone_content(to: impl AsFd, from: impl AsFd) -> SysResult<()> {
    failed(
        rustix::fs::ioctl_ficlone(to, from),
        "ioctl",
        format_args!("FICLONE"),
    )
}

/// lseek(2) with SEEK_DATA: where the next data begins; `None` when only a hole is left.
///
/// # Errors
/// EINVAL where the file system does not tell (the caller reads everything).
pub fn next_data(fd: impl AsFd, offset: u64) -> SysResult<Option<u64>> {
    match rustix::fs::seek(fd, SeekFrom::Data(offset)) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => failed(Err(errno), "lseek", format_args!("{offset}, SEEK_DATA")),
    }
}

/// lseek(2) with SEEK_HOLE: where the data at `offset` ends.
///
/// # Errors
/// As [`next_data`].
pub fn next_hole(fd: impl AsFd, offset: u64) -> SysResult<u64> {
    let done = rustix::fs::seek(fd, SeekFrom::Hole(offset));
    failed(done, "lseek", format_args!("{offset}, SEEK_HOLE"))
}

/// lseek(2) with SEEK_SET.
///
/// # Errors
/// EINVAL, ESPIPE.
pub fn seek_to(fd: impl AsFd, offset: u64) -> SysResult<()> {
    let done = rustix::fs::seek(fd, SeekFrom::Start(offset)).map(|_| ());
    failed(done, "lseek", format_args!("{offset}, SEEK_SET"))
}

/// ftruncate(2).
///
/// # Errors
/// EFBIG, ENOSPC.
pub fn set_length(fd: impl AsFd, length: u64) -> SysResult<()> {
    let done = rustix::fs::ftruncate(fd, length);
    failed(done, "ftruncate", format_args!("{length}"))
}

/// Whether a file lies on ext4 (or ext2 or ext3, which have the same number).
#[must_use]
pub fn is_on_ext4(fd: impl AsFd) -> bool {
    const EXT4_SUPER_MAGIC: u64 = 0xef53;
    // The field's type is another one on each architecture.
    let is_it = |kind| u64::try_from(kind) == Ok(EXT4_SUPER_MAGIC);
    rustix::fs::fstatfs(fd).is_ok_and(|found| is_it(found.f_type))
}

/// fallocate(2) with FALLOC_FL_KEEP_SIZE: blocks for the first `length` bytes.
///
/// # Errors
/// ENOSPC, EDQUOT, EFBIG; EOPNOTSUPP where the file system cannot.
pub fn reserve(fd: impl AsFd, length: u64) -> SysResult<()> {
    let done = rustix::fs::fallocate(fd, FallocateFlags::KEEP_SIZE, 0, length);
    failed(
        done,
        "fallocate",
        format_args!("FALLOC_FL_KEEP_SIZE, 0, {length}"),
    )
}

/// fchown(2).
///
/// # Errors
/// EPERM; EINVAL for an id that the user namespace does not map.
pub fn set_owner(fd: impl AsFd, uid: u32, gid: u32) -> SysResult<()> {
    let done = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    failed(done, "fchown", format_args!("{uid}, {gid}"))
}

/// fchownat(2) of the name itself, links not followed.
///
/// # Errors
/// As [`set_owner`].
pub fn set_owner_at(directory: impl AsFd, name: &Path, uid: u32, gid: u32) -> SysResult<()> {
    let (user, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let done = rustix::fs::chownat(directory, name, user, group, AtFlags::SYMLINK_NOFOLLOW);
    failed(done, "fchownat", format_args!("{name:?}, {uid}, {gid}"))
}

/// fchmod(2).
///
/// # Errors
/// EPERM, EROFS.
pub fn set_mode(fd: impl AsFd, mode: u32) -> SysResult<()> {
    let done = rustix::fs::fchmod(fd, Mode::from_raw_mode(mode));
    failed(done, "fchmod", format_args!("{mode:#o}"))
}

/// fchmodat(2). Follows a link, as the call has no other way: only for a name that was just made.
///
/// # Errors
/// As [`set_mode`].
pub fn set_mode_at(directory: impl AsFd, name: &Path, mode: u32) -> SysResult<()> {
    let bits = Mode::from_raw_mode(mode);
    let done = rustix::fs::chmodat(directory, name, bits, AtFlags::empty());
    failed(done, "fchmodat", format_args!("{name:?}, {mode:#o}"))
}

/// chmod(2) of what an `O_PATH` handle is on, by its name in /proc/self/fd: fchmod(2) refuses such
/// a handle, and fchmodat2(2) is younger (6.6) than the kernels this runs on.
///
/// # Errors
/// EPERM; ENOENT where /proc is not mounted.
pub fn set_mode_of_handle(handle: impl AsFd, mode: u32) -> SysResult<()> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    let done = rustix::fs::chmod(path.as_str(), Mode::from_raw_mode(mode));
    failed(done, "chmod", format_args!("{path:?}, {mode:#o}"))
}

fn stamps((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// futimens(2): access and modification time, seconds and nanoseconds since 1970.
///
/// # Errors
/// EPERM, EROFS.
pub fn set_times(fd: impl AsFd, time: (i64, u32)) -> SysResult<()> {
    let done = rustix::fs::futimens(fd, &stamps(time));
    failed(done, "futimens", format_args!("{}.{:09}", time.0, time.1))
}

/// utimensat(2) of the name itself, links not followed.
///
/// # Errors
/// As [`set_times`].
pub fn set_times_at(directory: impl AsFd, name: &Path, time: (i64, u32)) -> SysResult<()> {
    let done = rustix::fs::utimensat(directory, name, &stamps(time), AtFlags::SYMLINK_NOFOLLOW);
    failed(done, "utimensat", format_args!("{name:?}, {}", time.0))
}

/// flock(2), exclusive, without waiting. `false` when somebody else holds it.
///
/// # Errors
/// ENOLCK and the like.
pub fn try_flock(fd: impl AsFd) -> SysResult<bool> {
    match rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => failed(Err(errno), "flock", format_args!("LOCK_EX|LOCK_NB")),
    }
}

/// syncfs(2): everything written to the file system of `fd` is on its disk.
///
/// # Errors
/// EIO and what a failed write-back says.
pub fn sync_file_system(fd: impl AsFd) -> SysResult<()> {
    failed(rustix::fs::syncfs(fd), "syncfs", format_args!(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_never_goes_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let fd = super::super::fs::open_directory(rustix::fs::CWD, directory.path()).unwrap();
        make_link(Path::new("/etc/elsewhere"), &fd, Path::new("x")).unwrap();
        let error = create_new(&fd, Path::new("x"), 0o600).unwrap_err();
        assert_eq!(error.errno, Errno::EXIST);
        assert!(error.to_string().starts_with("openat(\"x\", O_RDWR|"));
        assert_eq!(
            open_directory(&fd, Path::new("x")).unwrap_err().errno,
            Errno::NOTDIR
        );
    }

    #[test]
    fn a_lock_is_held_once() {
        let directory = tempfile::tempdir().unwrap();
        let open = || super::super::fs::open_directory(rustix::fs::CWD, directory.path()).unwrap();
        let (first, second) = (open(), open());
        assert!(try_flock(&first).unwrap());
        assert!(!try_flock(&second).unwrap());
        drop(first);
        assert!(try_flock(&second).unwrap());
    }
}
