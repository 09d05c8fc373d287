//! Just enough of the SQLite file format to read every row of one table: b-tree pages, overflow
//! chains, and what a write-ahead log has committed but not yet moved (a killed rpm leaves one).
//! Format: <https://www.sqlite.org/fileformat2.html>. Nothing is written, no lock is taken.
//!
//! The file may be damaged or hostile: each page is visited once, each size is checked.

use std::collections::{BTreeSet, HashMap};

use crate::root::TreeFile;

/// The longest row that is read: the header of a package with very many files.
const LONGEST_ROW: usize = 64 << 20;
/// A log that is longer is not looked into.
const LONGEST_LOG: u64 = 1 << 30;

/// A damaged file, or one that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged(pub(super) &'static str);

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    file: TreeFile,
    log: Option<Log>,
    /// Of both files together.
    length: u64,
    page_size: usize,
    /// The page without the bytes that extensions reserve at its end.
    usable: usize,
}

impl Database {
    /// `log` is the file with `-wal` added to its name, where there is one.
    pub(super) fn open(file: TreeFile, log: Option<TreeFile>) -> Result<Self, Damaged> {
        let mut header = [0; 100];
        fill(&file, &mut header, 0)?;
        if !header.starts_with(b"SQLite format 3\0") {
            return Err(Damaged("not an SQLite database"));
        }
        let page_size = match be16(&header, 16) {
            Some(1) => 65536,
            Some(size) if size.is_power_of_two() && size >= 512 => usize::from(size),
            _ => return Err(Damaged("a page size that SQLite does not have")),
        };
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(Damaged("more reserved space than SQLite allows"));
        }
        let size = |file: &TreeFile| file.meta().map_or(0, |meta| meta.size);
        let length = size(&file).saturating_add(log.as_ref().map_or(0, size));
        Ok(Self {
            log: log.and_then(|log| Log::read(log, page_size)),
            length,
            file,
            page_size,
            usable,
        })
    }

    /// Calls with the values of every row of `table`.
    pub(super) fn rows(
        &self,
        table: &str,
        visit: &mut dyn FnMut(&[Value<'_>]),
    ) -> Result<(), Damaged> {
        let mut root = None;
        // Page 1 is the table of tables: type, name, tbl_name, rootpage, sql.
        self.walk(1, &mut |row| {
            if let [
                Value::Bytes(b"table"),
                Value::Bytes(name),
                _,
                Value::Integer(page),
                ..,
            ] = row
                && *name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
        })?;
        self.walk(root.ok_or(Damaged("the table is not there"))?, visit)
    }

    fn walk(&self, root: u32, visit: &mut dyn FnMut(&[Value<'_>])) -> Result<(), Damaged> {
        let mut seen = BTreeSet::new();
        let mut pending = vec![root];
        // Cells that overlap could make a small file into endless rows.
        let mut bytes_left = self.length;
        while let Some(number) = pending.pop() {
            if !seen.insert(number) {
                return Err(Damaged("a page is used twice"));
            }
            let page = self.page(number)?;
            let start = if number == 1 { 100 } else { 0 };
            let cells = be16(&page, start + 3).map_or(0, usize::from);
            let cell_at = |header: usize, index: usize| {
                be16(&page, start + header + 2 * index).map(usize::from)
            };
            let cut = Damaged("a page is cut short");
            match page.get(start) {
                Some(0x05) => {
                    let right = be32(&page, start + 8).ok_or(cut)?;
                    pending.push(right);
                    // The leftmost child comes last, to be taken first.
                    for index in (0..cells).rev() {
                        let at = cell_at(12, index).ok_or(cut)?;
                        pending.push(be32(&page, at).ok_or(cut)?);
                    }
                }
                Some(0x0d) => {
                    for index in 0..cells {
                        let at = cell_at(8, index).ok_or(cut)?;
                        let row = self.row(page.get(at..).ok_or(cut)?)?;
                        bytes_left = bytes_left
                            .checked_sub(row.len() as u64)
                            .ok_or(Damaged("rows overlap"))?;
                        visit(&values(&row).ok_or(Damaged("a row is cut short"))?);
                    }
                }
                _ => return Err(Damaged("a page is of another kind than a table's")),
            }
        }
        Ok(())
    }

    /// The payload of a leaf cell, gathered from its overflow pages.
    fn row(&self, cell: &[u8]) -> Result<Vec<u8>, Damaged> {
        let cut = Damaged("a row is cut short");
        let (size, rest) = varint(cell).ok_or(cut)?;
        let (_rowid, rest) = varint(rest).ok_or(cut)?;
        let size = usize::try_from(size).map_err(|_too_long| cut)?;
        if size > LONGEST_ROW {
            return Err(Damaged("a row is longer than 64 MiB"));
        }
        let most = self.usable - 35;
        let local = if size <= most {
            size
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let spill = least + (size - least) % (self.usable - 4);
            if spill <= most { spill } else { least }
        };
        let mut row = rest.get(..local).ok_or(cut)?.to_vec();
        if row.len() == size {
            return Ok(row);
        }
        let mut next = be32(rest, local).ok_or(cut)?;
        // Each page brings bytes, so even a chain that is a circle ends.
        while row.len() < size {
            let page = self.page(next)?;
            next = be32(&page, 0).ok_or(cut)?;
            let take = (size - row.len()).min(self.usable - 4);
            row.extend_from_slice(page.get(4..4 + take).ok_or(cut)?);
        }
        Ok(row)
    }

    fn page(&self, number: u32) -> Result<Vec<u8>, Damaged> {
        let mut page = vec![0; self.page_size];
        if let Some(log) = &self.log
            && let Some(offset) = log.pages.get(&number)
        {
            fill(&log.file, &mut page, *offset)?;
            return Ok(page);
        }
        let index = number.checked_sub(1).ok_or(Damaged("page 0 is used"))?;
        fill(
            &self.file,
            &mut page,
            u64::from(index) * self.page_size as u64,
        )?;
        Ok(page)
    }
}

/// What the write-ahead log holds instead of pages of the file.
#[derive(Debug)]
struct Log {
    file: TreeFile,
    /// From the page's number to where its newest committed content is in the log.
    pages: HashMap<u32, u64>,
}

impl Log {
    /// `None` for a log that is empty or not of this database. Frames count up to the last
    /// commit, and as long as salt and running checksum are right: what follows is an older
    /// log that was overwritten only so far.
    fn read(file: TreeFile, page_size: usize) -> Option<Self> {
        let length = file.meta().ok()?.size.min(LONGEST_LOG);
        let mut header = [0; 32];
        fill(&file, &mut header, 0).ok()?;
        let big_endian = match be32(&header, 0)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        if usize::try_from(be32(&header, 8)?).ok()? != page_size {
            return None;
        }
        let mut sum = (0, 0);
        checksum(&mut sum, &header[..24], big_endian);
        if (be32(&header, 24)?, be32(&header, 28)?) != sum {
            return None;
        }
        let (mut pages, mut open) = (HashMap::new(), Vec::new());
        let mut frame = vec![0; 24 + page_size];
        let mut at = 32;
        while at + frame.len() as u64 <= length {
            fill(&file, &mut frame, at).ok()?;
            checksum(&mut sum, &frame[..8], big_endian);
            checksum(&mut sum, &frame[24..], big_endian);
            let valid =
                frame[8..16] == header[16..24] && (be32(&frame, 16)?, be32(&frame, 20)?) == sum;
            if !valid {
                break;
            }
            open.push((be32(&frame, 0)?, at + 24));
            if be32(&frame, 4)? != 0 {
                pages.extend(open.drain(..));
            }
            at += frame.len() as u64;
        }
        Some(Self { file, pages })
    }
}

fn checksum(sum: &mut (u32, u32), bytes: &[u8], big_endian: bool) {
    let word = |bytes: &[u8]| {
        let raw = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big_endian {
            u32::from_be_bytes(raw)
        } else {
            u32::from_le_bytes(raw)
        }
    };
    for pair in bytes.chunks_exact(8) {
        sum.0 = sum.0.wrapping_add(word(&pair[..4])).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(&pair[4..])).wrapping_add(sum.0);
    }
}

/// One value of a row. Numbers with a fraction are not told from NULL: nothing here has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    Null,
    Integer(i64),
    /// Text or blob.
    Bytes(&'r [u8]),
}

fn values(row: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header, after) = varint(row)?;
    let header = usize::try_from(header).ok()?;
    let mut types = row.get(row.len() - after.len()..header)?;
    let mut body = &row[header..];
    let mut values = Vec::new();
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            _ => usize::try_from(kind.checked_sub(12)? / 2).ok()?,
        };
        let (bytes, rest) = body.split_at_checked(size)?;
        body = rest;
        values.push(match kind {
            0 | 7 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(integer(bytes)),
            _ => Value::Bytes(bytes),
        });
    }
    Some(values)
}

/// Big-endian, sign-extended.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |value: i64, byte| (value << 8) | i64::from(*byte))
}

/// Seven bits a byte, the highest first; the ninth byte gives eight.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some(((value << 8) | u64::from(*byte), &bytes[9..]));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*raw))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*raw))
}

/// Exactly as much as `buffer` holds.
pub(super) fn fill(file: &TreeFile, buffer: &mut [u8], offset: u64) -> Result<(), Damaged> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => return Err(Damaged("the file is cut short")),
            Ok(count) => filled += count,
            Err(_) => return Err(Damaged("the file cannot be read")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RootPath;
    use crate::root::{Mem, Tree};

    /// Made by sqlite3(1): pages of 512 bytes, so that the table has inner pages, and 120 rows
    /// whose blobs grow from nothing to a chain of two overflow pages.
    const PAGES: &[u8] = include_bytes!("../../../tests/fixtures/rpm/pages.sqlite");

    fn open(bytes: &[u8]) -> Result<Database, Damaged> {
        let tree = Mem::new().with_file("/db", bytes);
        Database::open(tree.open(&RootPath::new("/db")).unwrap(), None)
    }

    #[test]
    fn every_row_is_read_in_order() {
        let numbers = [
            Some(0),
            Some(1),
            Some(-1),
            Some(127),
            Some(-32768),
            Some(8_388_607),
            Some(-(1 << 31)),
            Some(1 << 40),
            Some(-(1 << 60)),
            None,
        ];
        let mut count = 0;
        open(PAGES)
            .unwrap()
            .rows("rows", &mut |row| {
                let number = numbers[count % 10].map_or(Value::Null, Value::Integer);
                let text = format!("row {count}");
                let blob = vec![u8::try_from(count).unwrap(); count * 5];
                let want = [
                    Value::Null,
                    number,
                    Value::Bytes(text.as_bytes()),
                    Value::Bytes(&blob),
                ];
                assert_eq!(row, want);
                count += 1;
            })
            .unwrap();
        assert_eq!(count, 120);
        let error = open(PAGES).unwrap().rows("none", &mut |_| {}).unwrap_err();
        assert_eq!(error, Damaged("the table is not there"));
    }

    #[test]
    fn no_change_of_a_byte_makes_it_run_on() {
        // The first page whole, then a byte of every page and every kind of place in it.
        for position in (0..512).chain((512..PAGES.len()).step_by(211)) {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = PAGES.to_vec();
                bytes[position] ^= flip;
                let mut total = 0;
                if let Ok(database) = open(&bytes) {
                    database
                        .rows("rows", &mut |row| total += row.len())
                        .unwrap_or_default();
                }
                assert!(total < 4 * bytes.len());
            }
        }
    }
}
