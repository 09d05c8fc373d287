//! Opening, looking and listing. Read-only; what changes files is in its own module.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags};
use rustix::io::Errno;

use crate::model::{FileId, Kind, Meta};

/// How files of unknown kind are opened: a FIFO must not block, a terminal must not become ours.
pub const READ_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How often openat2 is tried again after EAGAIN: a rename somewhere on the system during a
/// scoped lookup makes the kernel give up rather than risk an escape (openat2(2)).
const RESOLVE_TRIES: usize = 128;

/// openat(2) for reading, links followed.
///
/// # Errors
/// The errno of openat(2).
pub fn open_to_read(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(
        directory,
        path,
        READ_FLAGS,
        Mode::empty(),
    )?)
}

/// openat(2) of a directory for listing.
///
/// # Errors
/// The errno of openat(2), ENOTDIR among them.
pub fn open_directory(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, path, flags, Mode::empty())?)
}

/// openat(2) of a directory with O_PATH: a handle that gives no right to read it.
///
/// # Errors
/// The errno of openat(2), ENOTDIR among them.
pub fn open_directory_path(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, path, flags, Mode::empty())?)
}

/// openat(2) with O_PATH, links followed: a handle on anything.
///
/// # Errors
/// The errno of openat(2).
pub fn open_path(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, path, flags, Mode::empty())?)
}

/// openat2(2) with RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS below `root`. Kernels without openat2
/// (before 5.6) get libpathrs' walk, which verifies every step.
///
/// # Errors
/// The errno of openat2(2).
pub fn open_in_root(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RESOLVE_TRIES {
        match rustix::fs::openat2(&root, path, flags, mode, resolve) {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => return open_by_walk(&root, path, flags),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

/// A handle on the directory `path` below `root`, every component of which must be a real
/// directory: ELOOP or ENOTDIR when a link stands anywhere on the way. What changes a tree starts
/// from this, so that no link in it decides where a file goes.
///
/// # Errors
/// The errno of openat2(2), or of openat(2) where the kernel is older than 5.6.
pub fn open_real_directory(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    for _ in 0..RESOLVE_TRIES {
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve) {
            Ok(fd) => return Ok(fd),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => return open_real_by_walk(&root, path, flags),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn open_real_by_walk(root: &impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut at = rustix::fs::openat(root, Path::new("."), flags, Mode::empty())?;
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => {
                at = rustix::fs::openat(&at, Path::new(name), flags, Mode::empty())?;
            }
            std::path::Component::ParentDir => return Err(Errno::INVAL.into()),
            _ => {}
        }
    }
    Ok(at)
}

fn open_by_walk(root: &impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let errno = |error: pathrs::error::Error| match error.kind() {
        pathrs::error::ErrorKind::OsError(Some(number)) => io::Error::from_raw_os_error(number),
        _ => io::Error::other(error),
    };
    let root = pathrs::RootRef::from_fd(root.as_fd());
    let handle = if flags.contains(OFlags::NOFOLLOW) {
        root.resolve_nofollow(path)
    } else {
        root.resolve(path)
    }
    .map_err(errno)?;
    if flags.contains(OFlags::PATH) {
        return Ok(OwnedFd::from(handle));
    }
    let file = handle
        .reopen(pathrs::flags::OpenFlags::from_bits_retain(
            flags.bits().into(),
        ))
        .map_err(errno)?;
    Ok(OwnedFd::from(file))
}

/// fstatat(2), links followed.
///
/// # Errors
/// The errno of fstatat(2).
pub fn stat_at(directory: impl AsFd, path: &Path) -> io::Result<Meta> {
    let stat = rustix::fs::statat(directory, path, AtFlags::empty())?;
    Ok(meta(&stat))
}

/// fstatat(2) of the last component itself.
///
/// # Errors
/// The errno of fstatat(2).
pub fn lstat_at(directory: impl AsFd, path: &Path) -> io::Result<Meta> {
    let stat = rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(meta(&stat))
}

/// fstat(2); works on O_PATH handles.
///
/// # Errors
/// The errno of fstat(2).
pub fn meta_of_fd(fd: impl AsFd) -> io::Result<Meta> {
    Ok(meta(&rustix::fs::fstat(fd)?))
}

/// The number that mountinfo has for the mount that `fd` is on. It is another's as soon as nothing
/// holds the mount any more.
///
/// # Errors
/// The errno of looking into /proc/self/fdinfo, before Linux 5.8.
pub fn mount_id(fd: impl AsFd) -> io::Result<u64> {
    if let Ok(number) = number_of_mount(&fd, StatxFlags::MNT_ID) {
        return Ok(number);
    }
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    let info = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = [0; 1024];
    let count = rustix::io::read(info, &mut text)?;
    String::from_utf8_lossy(&text[..count])
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
        .ok_or_else(|| Errno::NOSYS.into())
}

/// The number of the mount that `fd` is on which no other will ever have.
///
/// # Errors
/// ENOSYS before Linux 6.8.
pub fn unique_mount_id(fd: impl AsFd) -> io::Result<u64> {
    const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
    number_of_mount(fd, StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE))
}

fn number_of_mount(fd: impl AsFd, wanted: StatxFlags) -> io::Result<u64> {
    let found = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, wanted)?;
    if found.stx_mask & wanted.bits() == 0 {
        return Err(Errno::NOSYS.into());
    }
    Ok(found.stx_mnt_id)
}

/// readlinkat(2).
///
/// # Errors
/// The errno of readlinkat(2).
pub fn read_link_at(directory: impl AsFd, path: &Path) -> io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(directory, path, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// getdents64(2): the names in an open directory, sorted, without `.` and `..`.
///
/// # Errors
/// The errno of getdents64(2).
pub fn list_directory(directory: OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_os_string());
        }
    }
    names.sort();
    Ok(names)
}

#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the widths of struct stat differ between architectures; the kernel's values fit"
)]
fn meta(stat: &Stat) -> Meta {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => Kind::Other,
    };
    Meta {
        id: FileId {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        },
        kind,
        mode: u32::from(stat.st_mode) & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink as u64,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        rdev: stat.st_rdev as u64,
    }
}
