//! openSUSE's format of rpm's database, "ndb" (rpm's lib/backend/ndb/rpmpkg.c): pages of slots,
//! each with a package's place in the file in blocks of 16 bytes.

use super::sqlite::Damaged;
use crate::root::TreeFile;

const PAGE: usize = 4096;
const SLOT: usize = 16;
const BLOCK: u64 = 16;
/// The header takes the place of the first two slots.
const HEADER: usize = 32;
/// Before a package's header: magic, number, generation, length.
const BLOB_HEAD: usize = 16;
/// A million slots; the largest distributions have 60,000 packages.
const MOST_PAGES: u32 = 4096;
/// As SQLite's: the header of a package with very many files.
const LONGEST: usize = 64 << 20;

/// Calls with each package's header.
pub(super) fn each(file: &TreeFile, visit: &mut dyn FnMut(&[u8])) -> Result<(), Damaged> {
    let head = bytes(file, 0, HEADER)?;
    if !head.starts_with(b"RpmP\0\0\0\0") {
        return Err(Damaged("no ndb database of version 0"));
    }
    let pages = le32(&head, 12).filter(|pages| *pages <= MOST_PAGES);
    let pages = pages.ok_or(Damaged("more pages of slots than there can be"))?;
    // Slots that overlap could make a small file into endless headers.
    let mut left = file.meta().map_or(0, |meta| meta.size);
    for page in 0..u64::from(pages) {
        let slots = bytes(file, page * PAGE as u64, PAGE)?;
        let skip = if page == 0 { HEADER } else { 0 };
        for slot in slots[skip..].chunks_exact(SLOT) {
            if !slot.starts_with(b"Slot") {
                return Err(Damaged("a slot is damaged"));
            }
            let (number, block) = (le32(slot, 4), le32(slot, 8).unwrap_or(0));
            if block == 0 {
                continue;
            }
            let at = u64::from(block) * BLOCK;
            let head = bytes(file, at, BLOB_HEAD)?;
            if !head.starts_with(b"BlbS") || le32(&head, 4) != number {
                return Err(Damaged("a slot leads to no package"));
            }
            let length = le32(&head, 12).and_then(|length| usize::try_from(length).ok());
            let length = length
                .filter(|length| *length <= LONGEST)
                .ok_or(Damaged("a package is longer than 64 MiB"))?;
            left = left
                .checked_sub(length as u64)
                .ok_or(Damaged("packages overlap"))?;
            visit(&bytes(file, at + BLOB_HEAD as u64, length)?);
        }
    }
    Ok(())
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*raw))
}

fn bytes(file: &TreeFile, at: u64, length: usize) -> Result<Vec<u8>, Damaged> {
    let mut bytes = vec![0; length];
    super::sqlite::fill(file, &mut bytes, at)?;
    Ok(bytes)
}
