//! Members of md arrays: what their superblocks say. The data of a mirror lies whole on each
//! member, so it can be read without assembling anything.

use super::partitions::Medium;

const MAGIC: [u8; 4] = [0xfc, 0x4e, 0x2b, 0xa9];
const SECTOR: u64 = 512;
/// `MD_FEATURE_RECOVERY_OFFSET`, `MD_FEATURE_RESHAPE_ACTIVE`, `MD_FEATURE_REPLACEMENT`: the data
/// is not all there, or not where it will be.
const UNFINISHED: u32 = 2 | 4 | 16;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// RAID level; -1 is linear.
    pub level: i32,
    /// How many members the array has.
    pub disks: u32,
    /// The name in the superblock, `host:name`; empty in version 0.90.
    pub name: String,
    /// Counts up with every change: the member with the highest is the newest.
    pub events: u64,
    /// Where its data begins, in bytes.
    pub start: u64,
    /// How much data it holds, in bytes.
    pub size: u64,
    /// A spare, or one that is still being filled.
    pub incomplete: bool,
}

/// Reads the superblock of a member, whichever version it is.
pub fn read(medium: &(impl Medium + ?Sized)) -> Option<Member> {
    let length = medium.length();
    let near_the_end = (length / SECTOR)
        .checked_sub(16)
        .map(|at| (at & !7) * SECTOR);
    [Some(4096), Some(0), near_the_end]
        .into_iter()
        .flatten()
        .find_map(|at| version_1(medium, at))
        .or_else(|| version_0(medium))
}

fn version_1(medium: &(impl Medium + ?Sized), at: u64) -> Option<Member> {
    let block = medium.bytes(at, 1024)?;
    if block[..4] != MAGIC || word(&block, 4) != 1 || long(&block, 144) != at / SECTOR {
        return None;
    }
    let start = long(&block, 128).checked_mul(SECTOR)?;
    let size = long(&block, 80).checked_mul(SECTOR)?;
    if start.checked_add(size)? > medium.length() {
        return None;
    }
    let name = block[32..64]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let own = usize::try_from(word(&block, 160)).ok()?;
    let role = own
        .checked_mul(2)
        .and_then(|role| block.get(256 + role..258 + role));
    // 0xffff is a spare, 0xfffe faulty.
    let active = role.is_some_and(|role| u16::from_le_bytes([role[0], role[1]]) < 0xff00);
    Some(Member {
        level: word(&block, 72).cast_signed(),
        disks: word(&block, 92),
        name: String::from_utf8_lossy(name).into_owned(),
        events: long(&block, 200),
        start,
        size,
        incomplete: word(&block, 8) & UNFINISHED != 0 || !active,
    })
}

/// 0.90: at the last full 64 KiB but one; the data is everything before it.
fn version_0(medium: &(impl Medium + ?Sized)) -> Option<Member> {
    const RESERVED: u64 = 64 * 1024;
    let at = (medium.length() & !(RESERVED - 1)).checked_sub(RESERVED)?;
    let block = medium.bytes(at, 4096)?;
    if block[..4] != MAGIC || word(&block, 4) != 0 {
        return None;
    }
    let field = |number: usize| word(&block, number * 4);
    let size = u64::from(field(8)) * 1024;
    if size > at {
        return None;
    }
    Some(Member {
        level: field(7).cast_signed(),
        disks: field(10),
        name: String::new(),
        events: u64::from(field(39)) | u64::from(field(40)) << 32,
        start: 0,
        size,
        incomplete: false,
    })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    super::partitions::le32(bytes, at)
}

fn long(bytes: &[u8], at: usize) -> u64 {
    super::partitions::le64(bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(at: usize) -> Vec<u8> {
        let mut disk = vec![0; 1 << 20];
        let mut put = |offset: usize, bytes: &[u8]| {
            disk[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &MAGIC);
        put(4, &1_u32.to_le_bytes());
        put(32, b"host:root");
        put(72, &1_u32.to_le_bytes());
        put(80, &1000_u64.to_le_bytes());
        put(92, &2_u32.to_le_bytes());
        put(128, &16_u64.to_le_bytes());
        put(144, &(at as u64 / 512).to_le_bytes());
        put(200, &77_u64.to_le_bytes());
        disk
    }

    #[test]
    fn all_three_places_are_looked_at() {
        let end = (1 << 20) - 8192;
        for at in [0, 4096, end] {
            let found = read(&member(at)[..]).unwrap();
            assert_eq!((found.level, found.disks, found.events), (1, 2, 77));
            assert_eq!((found.start, found.size), (8192, 512_000));
            assert_eq!(
                (found.name.as_str(), found.incomplete),
                ("host:root", false)
            );
        }
    }

    #[test]
    fn what_is_not_whole_or_lies_outside_is_not_used() {
        let mut disk = member(4096);
        disk[4096 + 8] = 2;
        assert!(read(&disk[..]).unwrap().incomplete);
        let mut disk = member(4096);
        disk[4096 + 256..4096 + 258].copy_from_slice(&[0xff, 0xff]);
        assert!(read(&disk[..]).unwrap().incomplete);
        let mut disk = member(4096);
        disk[4096 + 80..4096 + 88].fill(0xff);
        assert_eq!(read(&disk[..]), None);
    }
}
