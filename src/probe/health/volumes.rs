//! What a filesystem says of itself: room, error flags, a journal that was not replayed.

mod fat;
mod xfs;

use std::os::fd::AsFd;
use std::path::Path;

use crate::probe::partitions::{Medium, Opened};
use crate::sys::block;

/// Room on one mounted (or looked into) filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Where it is mounted in the system.
    pub mount_point: String,
    /// Size in bytes.
    pub size: u64,
    /// Free for everybody.
    pub available: u64,
    /// Free, with what is kept for root.
    pub free: u64,
    /// Inodes; 0 where there is no fixed number.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}

/// fstatvfs(3) of an open directory.
///
/// # Errors
/// The errno of statfs(2).
pub fn room(directory: impl AsFd, mount_point: &str) -> std::io::Result<Room> {
    // An O_PATH descriptor is enough for fstatfs since Linux 3.12.
    let stat = rustix::fs::fstatvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Room {
        mount_point: mount_point.to_string(),
        size: bytes(stat.f_blocks),
        available: bytes(stat.f_bavail),
        free: bytes(stat.f_bfree),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

/// A superblock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superstate {
    /// The volume, as people call it, and its node.
    pub name: String,
    /// The node.
    pub device: String,
    /// Type of the filesystem.
    pub fs_type: String,
    /// Where the system mounts it.
    pub mount_point: Option<String>,
    /// It marks itself as damaged: how.
    pub errors: Option<String>,
    /// It was not unmounted cleanly; a mount will replay its journal.
    pub dirty: bool,
}

/// Reads the superblock of `device`; `None` where the type is none that is read.
///
/// # Errors
/// The errno of open(2).
pub fn superblock(fs_type: &str, device: &Path) -> std::io::Result<Option<Superstate>> {
    let failed = |error: crate::sys::SysError| std::io::Error::from(error.errno);
    let opened = block::open(device).and_then(Opened::new).map_err(failed)?;
    Ok(of_medium(fs_type, &opened))
}

/// The same of an open one; `None` also where there is no superblock.
pub fn of_medium(fs_type: &str, medium: &(impl Medium + ?Sized)) -> Option<Superstate> {
    match fs_type {
        "ext2" | "ext3" | "ext4" => ext(&medium.bytes(1024, 1024)?),
        "btrfs" => btrfs(&medium.bytes(64 << 10, 4096)?),
        "vfat" => fat::superblock(medium),
        "xfs" => xfs::superblock(medium),
        _ => None,
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn ext(bytes: &[u8]) -> Option<Superstate> {
    const ERROR: u16 = 2;
    const RECOVER: u32 = 4;
    if half(bytes, 0x38)? != 0xef53 {
        return None;
    }
    let state = half(bytes, 0x3a)?;
    let count = word(bytes, 0x194)?;
    let mut found = Superstate {
        dirty: word(bytes, 0x60)? & RECOVER != 0,
        ..Superstate::default()
    };
    if state & ERROR != 0 || count > 0 {
        let text = |at: usize| {
            let raw = bytes.get(at..at + 32).unwrap_or_default();
            let text = raw.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        };
        let (last, whence) = (word(bytes, 0x1cc)?, text(0x1d8));
        let mut why = match count {
            0 => "its superblock is marked as having errors".to_string(),
            _ => format!("its superblock counts {count} errors"),
        };
        if last > 0 {
            why.push_str(&format!(
                ", the last on {}",
                crate::probe::lastboot::show(i64::from(last))
            ));
        }
        if !whence.is_empty() {
            why.push_str(&format!(" in {whence}"));
        }
        found.errors = Some(why);
    }
    Some(found)
}

fn btrfs(bytes: &[u8]) -> Option<Superstate> {
    if bytes.get(0x40..0x48)? != b"_BHRfS_M" {
        return None;
    }
    let log: [u8; 8] = bytes.get(0x60..0x68)?.try_into().ok()?;
    Some(Superstate {
        dirty: u64::from_le_bytes(log) != 0,
        ..Superstate::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ext4_says_whether_it_is_well() {
        let mut bytes = vec![0; 1024];
        bytes[0x38..0x3a].copy_from_slice(&0xef53_u16.to_le_bytes());
        bytes[0x3a] = 1;
        let well = ext(&bytes).unwrap();
        assert_eq!((well.errors, well.dirty), (None, false));
        bytes[0x3a] = 3;
        bytes[0x60] = 4;
        bytes[0x194] = 7;
        let ill = ext(&bytes).unwrap();
        assert!(ill.errors.unwrap().contains("7 errors") && ill.dirty);
        assert!(ext(&bytes[..100]).is_none());
    }

    #[test]
    fn a_log_tree_is_a_dirty_btrfs() {
        let mut bytes = vec![0; 4096];
        bytes[0x40..0x48].copy_from_slice(b"_BHRfS_M");
        assert!(!btrfs(&bytes).unwrap().dirty);
        bytes[0x61] = 1;
        assert!(btrfs(&bytes).unwrap().dirty);
    }
}
