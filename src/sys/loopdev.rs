//! Loop devices: a file, or a part of one, as a block device. Always with LO_FLAGS_AUTOCLEAR, so
//! that the device goes away with its last opener, whoever dies how.

#![expect(unsafe_code, reason = "ioctls that no crate wraps")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{SysError, SysResult};

const CONTROL: &str = "/dev/loop-control";
const SET_FD: libc::c_ulong = 0x4c00;
const CLR_FD: libc::c_ulong = 0x4c01;
const SET_STATUS64: libc::c_ulong = 0x4c04;
const GET_STATUS64: libc::c_ulong = 0x4c05;
const CONFIGURE: libc::c_ulong = 0x4c0a;
const GET_FREE: libc::c_ulong = 0x4c82;
const FLAG_READ_ONLY: u32 = 1;
const FLAG_AUTOCLEAR: u32 = 4;
/// How often another free device is asked for when somebody else was faster.
const TRIES: usize = 16;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

/// A loop device and the descriptor that keeps it.
#[derive(Debug)]
pub struct LoopDevice {
    /// `/dev/loopN`.
    pub path: PathBuf,
    device: OwnedFd,
}

impl AsFd for LoopDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Attaches `size` bytes (0: up to the end) at `offset` of `file` to a free loop device, read-only.
/// `shown` is what `losetup` lists as the file's name.
///
/// # Errors
/// ENOENT: no loop driver. EBUSY: other programs took every free device first.
pub fn attach_read_only(
    file: impl AsFd,
    offset: u64,
    size: u64,
    shown: &Path,
) -> SysResult<LoopDevice> {
    attach(file, offset, size, shown, true)
}

/// The same, writable where `read_only` is false; then `file` is open for writing.
///
/// # Errors
/// As [`attach_read_only`].
pub fn attach(
    file: impl AsFd,
    offset: u64,
    size: u64,
    shown: &Path,
    read_only: bool,
) -> SysResult<LoopDevice> {
    let access = if read_only {
        OFlags::RDONLY
    } else {
        OFlags::RDWR
    };
    let control = open(Path::new(CONTROL), OFlags::RDWR)?;
    for _ in 0..TRIES {
        let number = ioctl(&control, GET_FREE, 0)
            .map_err(|errno| SysError::new("ioctl", format_args!("LOOP_CTL_GET_FREE"), errno))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&path, access)?;
        match configure(&device, &file, (offset, size), shown, read_only) {
            Ok(()) => return Ok(LoopDevice { path, device }),
            Err(Errno::BUSY) => {}
            Err(errno) => {
                let what = format_args!("LOOP_CONFIGURE, {path:?}, {shown:?}+{offset}");
                return Err(SysError::new("ioctl", what, errno));
            }
        }
    }
    Err(SysError::new(
        "ioctl",
        format_args!("LOOP_CONFIGURE"),
        Errno::BUSY,
    ))
}

/// Whether the loop device at `path` is bound to a file now.
///
/// # Errors
/// The errno of open(2) or of LOOP_GET_STATUS64 other than ENXIO.
pub fn is_bound(path: &Path) -> io::Result<bool> {
    let device = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut info = empty();
    match ioctl(
        &device,
        GET_STATUS64,
        std::ptr::from_mut(&mut info) as usize,
    ) {
        Ok(_) => Ok(true),
        Err(Errno::NXIO) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the loop device at `path` is bound to the file at `file`.
///
/// # Errors
/// The errno of stat(2) for the file.
pub fn is_bound_to(path: &Path, file: &Path) -> io::Result<bool> {
    let meta = super::fs::stat_at(rustix::fs::CWD, file)?;
    Ok(backing(path) == Some((meta.id.device, meta.id.inode)))
}

/// The file that the loop device at `path` shows: its `st_dev` and `st_ino`. A name would not do,
/// other mount namespaces have other files of it. `None`: none.
#[must_use]
pub fn backing(path: &Path) -> Option<(u64, u64)> {
    let device = open(path, OFlags::RDONLY).ok()?;
    let mut info = empty();
    let address = std::ptr::from_mut(&mut info) as usize;
    ioctl(&device, GET_STATUS64, address).ok()?;
    Some((info.device, info.inode))
}

fn configure(
    device: &OwnedFd,
    file: &impl AsFd,
    (offset, size): (u64, u64),
    shown: &Path,
    read_only: bool,
) -> Result<(), Errno> {
    // A descriptor is never negative.
    let raw = file.as_fd().as_raw_fd().unsigned_abs();
    let mut info = empty();
    info.offset = offset;
    info.size_limit = size;
    info.flags = FLAG_AUTOCLEAR | if read_only { FLAG_READ_ONLY } else { 0 };
    let name = shown.as_os_str().as_encoded_bytes();
    let count = name.len().min(info.file_name.len() - 1);
    info.file_name[..count].copy_from_slice(&name[..count]);
    let config = Config {
        fd: raw,
        block_size: 0,
        info,
        reserved: [0; 8],
    };
    match ioctl(device, CONFIGURE, std::ptr::from_ref(&config) as usize) {
        // Before Linux 5.8 there is no LOOP_CONFIGURE: the driver says EINVAL or ENOTTY.
        Err(Errno::INVAL | Errno::NOTTY) => {}
        done => return done.map(|_| ()),
    }
    ioctl(device, SET_FD, raw as usize)?;
    ioctl(
        device,
        SET_STATUS64,
        std::ptr::from_ref(&config.info) as usize,
    )
    .map(|_| ())
    .inspect_err(|_| {
        ioctl(device, CLR_FD, 0).ok();
    })
}

fn open(path: &Path, access: OFlags) -> SysResult<OwnedFd> {
    rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| SysError::new("open", format_args!("{path:?}, {access:?}"), errno))
}

fn empty() -> Info {
    Info {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    }
}

fn ioctl(fd: impl AsFd, request: libc::c_ulong, argument: usize) -> Result<i32, Errno> {
    #[expect(
        clippy::useless_conversion,
        reason = "the type of a request differs between libcs"
    )]
    let request = request.into();
    // SAFETY: `argument` is 0, a descriptor's number, or the address of the structure that
    // `request` names, alive and exclusively ours until the call returns.
    let answer = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, argument) };
    if answer < 0 {
        return Err(super::errno_of(&io::Error::last_os_error()));
    }
    Ok(answer)
}
