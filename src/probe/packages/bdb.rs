//! rpm's database as releases before 2020 have it (RHEL 8, CentOS 7): a hash of Berkeley DB, as
//! rpm's own lib/backend/bdb_ro.c reads it. Every page is visited once, in the file's order: which
//! bucket a package hashes to does not matter here.

use super::sqlite::{Damaged, fill};
use crate::root::TreeFile;

const HASH_MAGIC: u32 = 0x0006_1561;
/// Types of pages: P_HASH_UNSORTED, P_OVERFLOW, P_HASH.
const UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const SORTED: u8 = 13;
/// Types of items: H_KEYDATA, H_OFFPAGE.
const HERE: u8 = 1;
const ELSEWHERE: u8 = 3;
/// The header of a page.
const HEADER: usize = 26;
/// As SQLite's: the header of a package with very many files.
const LONGEST: usize = 64 << 20;

struct Pages<'f> {
    file: &'f TreeFile,
    size: usize,
    last: u32,
}

/// Calls with each value: the headers of packages, and a counter of four bytes.
pub(super) fn each(file: &TreeFile, visit: &mut dyn FnMut(&[u8])) -> Result<(), Damaged> {
    let mut meta = [0; 512];
    fill(file, &mut meta, 0)?;
    if le32(&meta, 12) != Some(HASH_MAGIC) {
        return Err(Damaged("no hash of Berkeley DB, or of another byte order"));
    }
    let size = le32(&meta, 20).and_then(|size| usize::try_from(size).ok());
    let size = size
        .filter(|size| size.is_power_of_two() && (512..=65536).contains(size))
        .ok_or(Damaged("a page size that Berkeley DB does not have"))?;
    let pages = Pages {
        file,
        size,
        last: le32(&meta, 32).unwrap_or(0),
    };
    // Values that share pages could make a small file into endless headers.
    let mut left = file.meta().map_or(0, |meta| meta.size);
    for number in 1..=pages.last {
        let page = pages.read(number)?;
        if !matches!(page[25], UNSORTED | SORTED) {
            continue;
        }
        // Keys and values in turn, from the end of the page down.
        let items = usize::from(le16(&page, 20).unwrap_or(0));
        for index in (1..items).step_by(2) {
            let at = |index: usize| le16(&page, HEADER + 2 * index).map(usize::from);
            let (Some(begin), Some(end)) = (at(index), at(index - 1)) else {
                return Err(Damaged("a page is cut short"));
            };
            let item = page.get(begin..end).ok_or(Damaged("items overlap"))?;
            let value = pages.value(item)?;
            left = left
                .checked_sub(value.len() as u64)
                .ok_or(Damaged("values overlap"))?;
            visit(&value);
        }
    }
    Ok(())
}

impl Pages<'_> {
    /// A page that says its own number.
    fn read(&self, number: u32) -> Result<Vec<u8>, Damaged> {
        if number == 0 || number > self.last {
            return Err(Damaged("a page is used that is not there"));
        }
        let mut page = vec![0; self.size];
        fill(self.file, &mut page, u64::from(number) * self.size as u64)?;
        // A page that was never written to holds zeros.
        let known = [Some(number), Some(0)].contains(&le32(&page, 8));
        known
            .then_some(page)
            .ok_or(Damaged("a page has another number"))
    }

    fn value(&self, item: &[u8]) -> Result<Vec<u8>, Damaged> {
        match item.first() {
            Some(&HERE) => Ok(item[1..].to_vec()),
            Some(&ELSEWHERE) => {
                let cut = Damaged("an item is cut short");
                let page = le32(item, 4).ok_or(cut)?;
                let length = le32(item, 8).and_then(|length| usize::try_from(length).ok());
                self.chain(page, length.filter(|it| *it <= LONGEST).ok_or(cut)?)
            }
            _ => Err(Damaged("an item of a kind that is not known")),
        }
    }

    /// What lies on a chain of overflow pages.
    fn chain(&self, first: u32, length: usize) -> Result<Vec<u8>, Damaged> {
        let (mut value, mut next) = (Vec::new(), first);
        while value.len() < length {
            let page = self.read(next)?;
            let used = usize::from(le16(&page, 22).unwrap_or(0));
            // Each page brings bytes, so even a chain that is a circle ends.
            let body = page.get(HEADER..HEADER + used).filter(|it| !it.is_empty());
            match body.filter(|_| page[25] == OVERFLOW) {
                Some(body) => value.extend_from_slice(body),
                None => return Err(Damaged("a chain of pages is broken")),
            }
            next = le32(&page, 16).unwrap_or(0);
        }
        value.truncate(length);
        Ok(value)
    }
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*raw))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*raw))
}
