//! FAT: what the boot sector and the second entry of the table say of the last unmount.

use super::{Superstate, half, word};
use crate::probe::partitions::Medium;

/// Fewer clusters are a FAT12, whose table keeps no such bits.
const FAT12_CLUSTERS: u32 = 4085;

/// Linux marks a mounted FAT as dirty in a reserved byte of the boot sector (fatgen's `Reserved1`:
/// bit 0, and bit 1 for a disk that failed). Windows takes two bits of FAT\[1\] away instead: the
/// highest that FAT16 and FAT32 use, and the one below it for a disk that failed.
pub(super) fn superblock(medium: &(impl Medium + ?Sized)) -> Option<Superstate> {
    const DIRTY: u8 = 1;
    const FAILED: u8 = 2;
    let boot = medium.bytes(0, 512)?;
    if boot[510..] != [0x55, 0xaa] {
        return None;
    }
    let is_32 = half(&boot, 22)? == 0;
    let state = boot[if is_32 { 0x41 } else { 0x25 }];
    let (clean, fine) = table(medium, &boot, is_32).unwrap_or((true, true));
    let failed = state & FAILED != 0 || !fine;
    Some(Superstate {
        dirty: state & DIRTY != 0 || !clean,
        errors: failed.then(|| "a read or write error was noted while it was mounted".to_string()),
        ..Superstate::default()
    })
}

/// FAT\[1\]: whether it was unmounted, and whether no read or write failed.
fn table(medium: &(impl Medium + ?Sized), boot: &[u8], is_32: bool) -> Option<(bool, bool)> {
    let start = u64::from(half(boot, 11)?) * u64::from(half(boot, 14)?);
    if is_32 {
        let entry = word(&medium.bytes(start + 4, 4)?, 0)?;
        return Some((entry & 1 << 27 != 0, entry & 1 << 26 != 0));
    }
    if clusters(boot)? < FAT12_CLUSTERS {
        return None;
    }
    let entry = half(&medium.bytes(start + 2, 2)?, 0)?;
    Some((entry & 1 << 15 != 0, entry & 1 << 14 != 0))
}

/// How many clusters a FAT12 or FAT16 has.
fn clusters(boot: &[u8]) -> Option<u32> {
    let number = |at: usize| half(boot, at).map(u32::from);
    let sectors = match number(19)? {
        0 => word(boot, 32)?,
        few => few,
    };
    let directory = (number(17)? * 32).div_ceil(number(11)?.max(1));
    let tables = u32::from(*boot.get(16)?) * number(22)?;
    let data = sectors.checked_sub(number(14)? + tables + directory)?;
    data.checked_div(u32::from(*boot.get(13)?))
}
