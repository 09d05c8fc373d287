//! XFS: the mark that it needs repair, and whether its log ends with the record of an unmount.
//! Everything is big-endian (xfs_format.h, xfs_log_format.h).

use super::Superstate;
use crate::probe::partitions::Medium;

/// The log is counted in blocks of this size, whatever the filesystem's is.
const BLOCK: u64 = 512;
/// Begins a log record.
const MAGIC: u32 = 0xfeed_babe;
/// The longest record and its headers, in blocks.
const LONGEST: u64 = (256 << 10) / BLOCK + 8;

pub(super) fn superblock(medium: &(impl Medium + ?Sized)) -> Option<Superstate> {
    /// XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR.
    const NEEDS_REPAIR: u32 = 1 << 4;
    let block = medium.bytes(0, 512)?;
    if !block.starts_with(b"XFSB") {
        return None;
    }
    let is_5 = block[101] & 0xf == 5;
    let needs_repair = is_5 && be32(&block, 216)? & NEEDS_REPAIR != 0;
    let why = "its superblock says that it needs repair, and no kernel mounts it before";
    Some(Superstate {
        errors: needs_repair.then(|| why.to_string()),
        dirty: log(&block).and_then(|log| log.is_clean(medium)) == Some(false),
        ..Superstate::default()
    })
}

/// Where the log is.
struct Log {
    start: u64,
    blocks: u64,
}

/// `None`: it lies on another device.
fn log(superblock: &[u8]) -> Option<Log> {
    let size = u64::from(be32(superblock, 4)?);
    let first = u64::from_be_bytes(superblock.get(48..56)?.try_into().ok()?);
    if first == 0 {
        return None;
    }
    // A block's number is its allocation group's, shifted, and its place in that.
    let shift = u32::from(*superblock.get(124)?);
    let group = first.checked_shr(shift)?;
    let place = first & 1_u64.checked_shl(shift)?.wrapping_sub(1);
    let block = u64::from(be32(superblock, 84)?)
        .checked_mul(group)?
        .checked_add(place)?;
    Some(Log {
        start: block.checked_mul(size)?,
        blocks: u64::from(be32(superblock, 96)?).checked_mul(size)? / BLOCK,
    })
}

impl Log {
    /// Whether the last record is that of an unmount. `None` where the end is not found.
    fn is_clean(&self, medium: &(impl Medium + ?Sized)) -> Option<bool> {
        const UNMOUNT: u8 = 0x20;
        let head = self.head(medium)?;
        for back in 1..=LONGEST.min(self.blocks) {
            let at = (head + self.blocks - back) % self.blocks;
            let block = self.block(medium, at)?;
            if be32(&block, 0)? != MAGIC {
                continue;
            }
            let header = header_blocks(&block)?;
            let data = u64::from(be32(&block, 12)?).div_ceil(BLOCK);
            // h_num_logops; the operation in the next block: tid, length, client, flags.
            let one = be32(&block, 40)? == 1;
            let operation = self.block(medium, (at + header) % self.blocks)?;
            return Some(one && header + data == back && operation[9] & UNMOUNT != 0);
        }
        None
    }

    /// The block where the next record would begin: up to it every block has the number of the
    /// log's present round, behind it that of the round before.
    fn head(&self, medium: &(impl Medium + ?Sized)) -> Option<u64> {
        let first = self.round(medium, 0)?;
        let (mut same, mut other) = (0, self.blocks);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.round(medium, middle)? == first {
                same = middle;
            } else {
                other = middle;
            }
        }
        Some(other)
    }

    /// Every block begins with the number of its round; in a record's first it comes behind the
    /// magic number.
    fn round(&self, medium: &(impl Medium + ?Sized), at: u64) -> Option<u32> {
        let block = self.block(medium, at)?;
        match be32(&block, 0)? {
            MAGIC => be32(&block, 4),
            round => Some(round),
        }
    }

    fn block(&self, medium: &(impl Medium + ?Sized), at: u64) -> Option<Vec<u8>> {
        medium.bytes(self.start.checked_add(at.checked_mul(BLOCK)?)?, 512)
    }
}

/// One for each 32 KiB that a record of version 2 may have.
fn header_blocks(header: &[u8]) -> Option<u64> {
    const CYCLES: u32 = 32 << 10;
    let size = be32(header, 320)?;
    if be32(header, 8)? & 2 == 0 || size <= CYCLES {
        return Some(1);
    }
    Some(u64::from(size.div_ceil(CYCLES)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
