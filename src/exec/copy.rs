//! One file's content and what belongs to it: blocks shared where the file system can, else
//! copied with its holes; BLAKE3 while the data passes by; owner, mode, attributes, times.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::model::Meta;
use crate::root::TreeFile;
use crate::sys::{SysError, SysResult, file, xattr};

/// What is read and written at once: hashing and writing find it in the second-level cache.
/// ext4 takes a tenth more time for 64 KiB at once, half as much again for 256 (Linux 6.18).
pub(super) const BUFFER: usize = 128 * 1024;

/// From this size on a file gets all its blocks at once: ext4 otherwise reserves each as it is
/// written, a tenth of the processor time of copying (Linux 6.18).
const RESERVED: u64 = 1 << 20;

const CAPABILITIES: &CStr = c"security.capability";

/// How the content came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The blocks are shared with the source until one of them is changed.
    Reflinked,
    /// Read and written.
    Copied,
}

/// What copying one file's content said.
pub(super) struct Content {
    pub(super) blake3: blake3::Hash,
    pub(super) bytes: u64,
    pub(super) how: How,
}

/// Two file systems (`st_dev`) that share no blocks, as the last try showed.
#[derive(Debug, Default)]
pub(super) struct Apart {
    devices: Option<(u64, u64)>,
}

impl Apart {
    fn share(&mut self, from: (&OwnedFd, &Meta), to: (&OwnedFd, &Meta)) -> bool {
        let devices = (from.1.id.device, to.1.id.device);
        if from.1.size == 0 || self.devices == Some(devices) {
            return false;
        }
        match file::clone_content(to.0, from.0) {
            Ok(()) => true,
            Err(error) => {
                // What else is wrong (EINVAL, ETXTBSY) may be so with this file only.
                if matches!(error.errno, Errno::OPNOTSUPP | Errno::XDEV) {
                    self.devices = Some(devices);
                }
                false
            }
        }
    }
}

/// Copies the whole content of a file into a new one, each with what fstat(2) says of it.
pub(super) fn content(
    (from, meta): (&TreeFile, &Meta),
    (to, made): (&OwnedFd, &Meta),
    buffer: &mut [u8],
    apart: &mut Apart,
) -> SysResult<Content> {
    let mut hash = blake3::Hasher::new();
    let share = |fd: &OwnedFd| apart.share((fd, meta), (to, made));
    if from.fd().is_some_and(share) {
        let bytes = read_range(from, 0, u64::MAX, buffer, |piece| {
            hash.update(piece);
            Ok(())
        })?;
        return Ok(Content {
            blake3: hash.finalize(),
            bytes,
            how: How::Reflinked,
        });
    }
    let bytes = if meta.blocks.saturating_mul(512) < meta.size {
        with_holes(from, meta.size, to, buffer, &mut hash)?
    } else {
        let reserved = reserve(to, meta.size)?;
        let bytes = read_range(from, 0, u64::MAX, buffer, |piece| {
            hash.update(piece);
            file::write_all(to, piece)
        })?;
        if bytes < reserved {
            // The source became shorter meanwhile: the rest would stay reserved.
            file::set_length(to, bytes)?;
        }
        bytes
    };
    Ok(Content {
        blake3: hash.finalize(),
        bytes,
        how: How::Copied,
    })
}

/// Reserves blocks where that pays; for how many bytes.
fn reserve(to: &OwnedFd, size: u64) -> SysResult<u64> {
    if size < RESERVED || !file::is_on_ext4(to) {
        return Ok(0);
    }
    match file::reserve(to, size) {
        Ok(()) => Ok(size),
        // What is full is full; anything else is no reason not to write, and may have left blocks.
        Err(error) if matches!(error.errno, Errno::NOSPC | Errno::DQUOT) => Err(error),
        Err(_) => Ok(size),
    }
}

/// Writes the data only; what lies between becomes holes again.
fn with_holes(
    from: &TreeFile,
    size: u64,
    to: &OwnedFd,
    buffer: &mut [u8],
    hash: &mut blake3::Hasher,
) -> SysResult<u64> {
    let mut at = 0;
    while at < size {
        let data = next_data(from, at)?.map_or(size, |data| data.min(size));
        hash_zeros(hash, data - at);
        if data == size {
            at = size;
            break;
        }
        let end = next_hole(from, data, size)?;
        file::seek_to(to, data)?;
        let count = read_range(from, data, end - data, buffer, |piece| {
            hash.update(piece);
            file::write_all(to, piece)
        })?;
        at = data + count;
        if at < end {
            // The source became shorter meanwhile.
            break;
        }
    }
    file::set_length(to, at)?;
    Ok(at)
}

fn next_data(from: &TreeFile, at: u64) -> SysResult<Option<u64>> {
    from.fd().map_or(Ok(Some(at)), |fd| {
        // A file system that cannot tell has data everywhere.
        file::next_data(fd, at).or(Ok(Some(at)))
    })
}

fn next_hole(from: &TreeFile, at: u64, size: u64) -> SysResult<u64> {
    let end = from
        .fd()
        .map_or(size, |fd| file::next_hole(fd, at).unwrap_or(size));
    // Progress is made even when a file system answers nonsense.
    Ok(if end <= at { size } else { end.min(size) })
}

fn hash_zeros(hash: &mut blake3::Hasher, mut count: u64) {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while count > 0 {
        let piece = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .min(ZEROS.len());
        hash.update(&ZEROS[..piece]);
        count -= piece as u64;
    }
}

/// Gives `length` bytes from `offset` on to `take`, fewer when the file ends; how many.
pub(super) fn read_range(
    from: &TreeFile,
    offset: u64,
    length: u64,
    buffer: &mut [u8],
    mut take: impl FnMut(&[u8]) -> SysResult<()>,
) -> SysResult<u64> {
    let mut done = 0;
    while done < length {
        let want = usize::try_from(length - done)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match from.read_at(&mut buffer[..want], offset + done) {
            Ok(0) => break,
            Ok(count) => {
                take(&buffer[..count])?;
                done += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let what = format_args!("{want}, offset {}", offset + done);
                return Err(SysError::from_io("pread", what, &error));
            }
        }
    }
    Ok(done)
}

/// What was not taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// File capabilities, as asked.
    pub(super) capabilities: bool,
    /// Other attributes that the target's file system or the caller's rights do not allow.
    pub(super) attributes: bool,
}

/// Copies the extended attributes (ACLs among them).
pub(super) fn attributes(from: &OwnedFd, to: &OwnedFd, keep_capabilities: bool) -> SysResult<Lost> {
    let mut lost = Lost::default();
    for name in xattr::list(from)? {
        if name.as_c_str() == CAPABILITIES && !keep_capabilities {
            lost.capabilities = true;
            continue;
        }
        let Some(value) = xattr::get(from, &name)? else {
            continue;
        };
        match xattr::set(to, &name, &value) {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.errno,
                    Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::ACCESS
                ) =>
            {
                lost.attributes = true;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(lost)
}
