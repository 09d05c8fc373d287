//! What btrfs tells about its subvolumes through ioctls (linux/btrfs.h). Reading only.

#![expect(unsafe_code, reason = "ioctls that no crate wraps")]

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Updater, opcode};

const MAGIC: u8 = 0x94;
const ROOT_REFS: usize = 255;

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
struct InfoArgs {
    id: u64,
    name: [u8; 256],
    parent_id: u64,
    directory_id: u64,
    generation: u64,
    flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    transids: [u64; 4],
    times: [[u64; 2]; 4],
    reserved: [u64; 8],
}

/// `struct btrfs_ioctl_get_subvol_rootref_args`.
#[repr(C)]
struct RootRefArgs {
    min_id: u64,
    references: [[u64; 2]; ROOT_REFS],
    count: u8,
    align: [u8; 7],
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
struct LookupArgs {
    tree: u64,
    inode: u64,
    name: [u8; 4080],
}

const INFO: rustix::ioctl::Opcode = opcode::read::<InfoArgs>(MAGIC, 60);
const ROOT_REF: rustix::ioctl::Opcode = opcode::read_write::<RootRefArgs>(MAGIC, 61);
const LOOKUP: rustix::ioctl::Opcode = opcode::read_write::<LookupArgs>(MAGIC, 18);

/// One subvolume, as BTRFS_IOC_GET_SUBVOL_INFO describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubvolInfo {
    /// Its number, the one of `subvolid=`.
    pub id: u64,
    /// The subvolume that holds it; 0 for the top level.
    pub parent_id: u64,
    /// BTRFS_ROOT_SUBVOL_RDONLY.
    pub read_only: bool,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// The UUID of what it is a snapshot of; zeros when it is none.
    pub parent_uuid: [u8; 16],
}

/// Describes the subvolume that `directory` lies in.
///
/// # Errors
/// The errno of ioctl(2): ENOTTY when this is no btrfs, or a kernel before 4.18.
pub fn subvol_info(directory: impl AsFd) -> io::Result<SubvolInfo> {
    let mut args = InfoArgs {
        id: 0,
        name: [0; 256],
        parent_id: 0,
        directory_id: 0,
        generation: 0,
        flags: 0,
        uuid: [0; 16],
        parent_uuid: [0; 16],
        received_uuid: [0; 16],
        transids: [0; 4],
        times: [[0; 2]; 4],
        reserved: [0; 8],
    };
    // SAFETY: INFO is the number of the call that fills a structure of exactly this layout.
    unsafe { rustix::ioctl::ioctl(directory, Updater::<INFO, _>::new(&mut args)) }?;
    Ok(SubvolInfo {
        id: args.id,
        parent_id: args.parent_id,
        read_only: args.flags & 2 != 0,
        uuid: args.uuid,
        parent_uuid: args.parent_uuid,
    })
}

/// The subvolumes that lie directly in the one of `directory`, at most 255, from number `min_id`
/// on: their number, and the inode of the directory that holds them.
///
/// # Errors
/// As [`subvol_info`].
pub fn subvol_children(directory: impl AsFd, min_id: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut args = RootRefArgs {
        min_id,
        references: [[0; 2]; ROOT_REFS],
        count: 0,
        align: [0; 7],
    };
    // SAFETY: ROOT_REF is the number of the call that fills a structure of exactly this layout.
    let done = unsafe { rustix::ioctl::ioctl(directory, Updater::<ROOT_REF, _>::new(&mut args)) };
    match done {
        // EOVERFLOW: there are more; what is filled in is right.
        Ok(()) | Err(rustix::io::Errno::OVERFLOW) => {}
        Err(errno) => return Err(errno.into()),
    }
    let count = usize::from(args.count).min(ROOT_REFS);
    Ok(args.references[..count]
        .iter()
        .map(|[id, dir]| (*id, *dir))
        .collect())
}

/// The path of directory `inode` inside the subvolume of `directory`: `a/b/`, empty for its top.
///
/// # Errors
/// As [`subvol_info`]; EPERM without CAP_SYS_ADMIN.
pub fn directory_path(directory: impl AsFd, inode: u64) -> io::Result<Vec<u8>> {
    let mut args = Box::new(LookupArgs {
        tree: 0,
        inode,
        name: [0; 4080],
    });
    // SAFETY: LOOKUP is the number of the call that fills a structure of exactly this layout.
    unsafe { rustix::ioctl::ioctl(directory, Updater::<LOOKUP, _>::new(args.as_mut())) }?;
    let end = args.name.iter().position(|byte| *byte == 0);
    Ok(args.name[..end.unwrap_or(args.name.len())].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<InfoArgs>(), 504);
        assert_eq!(size_of::<RootRefArgs>(), 4096);
        assert_eq!(size_of::<LookupArgs>(), 4096);
    }
}
