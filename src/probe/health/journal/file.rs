//! One journal file, read as systemd's "Journal File Format" says, without trusting a number in
//! it: every offset is checked, every walk is bounded.
//!
//! The walk is from fields to entries: the field table leads to PRIORITY, that to its eight
//! values, each of these to the entries that have it. So the few entries that matter are found
//! without reading the many that do not.

use crate::root::TreeFile;

const SIGNATURE: &[u8] = b"LPKSHHRH";
/// `HEADER_INCOMPATIBLE_COMPACT`: entries hold offsets of 32 bits.
const COMPACT: u32 = 1 << 4;
/// Incompatible flags that change nothing of what is read here: compressions, keyed hashes.
const KNOWN: u32 = 0b1_1111;
const DATA: u8 = 1;
const FIELD: u8 = 2;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;
/// Any of the flags of a compressed object.
const COMPRESSED: u8 = 0b111;

/// No message that matters is longer; the rest of it is cut.
const MOST_TEXT: usize = 1024;
/// Buckets of the field table; systemd makes 1023.
const MOST_BUCKETS: u64 = 1 << 16;
/// Links of one chain.
const MOST_LINKS: usize = 1 << 12;
/// Values of one field that are looked at.
const MOST_VALUES: usize = 1 << 12;
/// Items of one entry.
const MOST_ITEMS: usize = 256;

/// What the header says.
#[derive(Clone, Debug)]
pub(super) struct Journal<'f> {
    file: &'f TreeFile,
    compact: bool,
    fields: (u64, u64),
    /// The boot of the last entry.
    pub(super) boot: [u8; 16],
    /// Its time, in microseconds since 1970.
    pub(super) last: u64,
}

/// An object that has one value of a field.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// `FIELD=value`; cut, and empty where it is compressed.
    pub(super) text: Vec<u8>,
    /// The next value of the same field.
    next: u64,
    first_entry: u64,
    entries: u64,
    count: u64,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Microseconds since 1970.
    pub(super) when: u64,
    /// Which boot.
    pub(super) boot: [u8; 16],
    /// Offsets of its data.
    items: Vec<u64>,
}

impl<'f> Journal<'f> {
    /// `None`: no journal file, or one that needs to be read otherwise.
    pub(super) fn open(file: &'f TreeFile) -> Option<Self> {
        let head = bytes(file, 0, 208)?;
        let incompatible = u32::from_le_bytes(head.get(12..16)?.try_into().ok()?);
        if !head.starts_with(SIGNATURE) || incompatible & !KNOWN != 0 {
            return None;
        }
        let long = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            file,
            compact: incompatible & COMPACT != 0,
            fields: (long(120)?, long(128)?),
            boot: head.get(56..72)?.try_into().ok()?,
            last: long(192)?,
        })
    }

    /// Every value of a field that is not compressed.
    pub(super) fn values(&self, name: &str) -> Vec<Data> {
        let mut found = Vec::new();
        let Some(mut at) = self.field(name) else {
            return found;
        };
        while at != 0 && found.len() < MOST_VALUES {
            let Some(data) = self.data(at) else {
                break;
            };
            at = data.next;
            found.push(data);
        }
        found
    }

    /// The first value of a field.
    fn field(&self, name: &str) -> Option<u64> {
        let (table, size) = self.fields;
        for bucket in 0..(size / 16).min(MOST_BUCKETS) {
            let slot = bytes(self.file, table.checked_add(bucket * 16)?, 8)?;
            let mut at = u64::from_le_bytes(slot.try_into().ok()?);
            for _ in 0..MOST_LINKS {
                if at == 0 {
                    break;
                }
                let (kind, _, size) = self.object(at)?;
                if kind != FIELD {
                    break;
                }
                let body = bytes(self.file, at + 16, 24)?;
                let long = |from: usize| {
                    Some(u64::from_le_bytes(
                        body.get(from..from + 8)?.try_into().ok()?,
                    ))
                };
                let length = size.checked_sub(40)?;
                if length == name.len() as u64
                    && bytes(self.file, at + 40, name.len())? == name.as_bytes()
                {
                    return long(16);
                }
                at = long(8)?;
            }
        }
        None
    }

    /// `(type, flags, size)`.
    fn object(&self, at: u64) -> Option<(u8, u8, u64)> {
        // Objects are aligned; a number that is not leads nowhere.
        if !at.is_multiple_of(8) {
            return None;
        }
        let head = bytes(self.file, at, 16)?;
        let size = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
        Some((*head.first()?, *head.get(1)?, size))
    }

    fn data(&self, at: u64) -> Option<Data> {
        let (kind, flags, size) = self.object(at)?;
        if kind != DATA {
            return None;
        }
        let body = bytes(self.file, at.checked_add(16)?, 48)?;
        let long = |from: usize| {
            Some(u64::from_le_bytes(
                body.get(from..from + 8)?.try_into().ok()?,
            ))
        };
        let begin = if self.compact { 72 } else { 64 };
        let length = usize::try_from(size.checked_sub(begin)?)
            .unwrap_or(usize::MAX)
            .min(MOST_TEXT);
        let text = if flags & COMPRESSED == 0 {
            bytes(self.file, at.checked_add(begin)?, length)?
        } else {
            Vec::new()
        };
        Some(Data {
            text,
            next: long(16)?,
            first_entry: long(24)?,
            entries: long(32)?,
            count: long(40)?,
        })
    }

    /// The last `most` entries that have this value, oldest first.
    pub(super) fn entries_of(&self, data: &Data, most: usize) -> Vec<Entry> {
        let mut offsets = std::collections::VecDeque::from([data.first_entry]);
        let mut array = data.entries;
        let mut left = data.count.saturating_sub(1);
        for _ in 0..MOST_LINKS {
            if array == 0 || left == 0 {
                break;
            }
            let Some((next, items)) = self.array(array, left, most) else {
                break;
            };
            left = left.saturating_sub(items.1);
            offsets.extend(items.0);
            while offsets.len() > most {
                offsets.pop_front();
            }
            array = next;
        }
        offsets
            .into_iter()
            .filter_map(|at| self.entry(at))
            .collect()
    }

    /// `(next array, (the last entries of this one, how many it holds))`.
    fn array(&self, at: u64, left: u64, most: usize) -> Option<(u64, (Vec<u64>, u64))> {
        let (kind, _, size) = self.object(at)?;
        if kind != ENTRY_ARRAY {
            return None;
        }
        let next = u64::from_le_bytes(bytes(self.file, at.checked_add(16)?, 8)?.try_into().ok()?);
        let width = if self.compact { 4 } else { 8 };
        let count = (size.checked_sub(24)? / width).min(left);
        let skip = count.saturating_sub(most as u64);
        let from = at.checked_add(24)?.checked_add(skip.checked_mul(width)?)?;
        let length = usize::try_from((count - skip) * width).ok()?;
        let raw = bytes(self.file, from, length)?;
        let offsets = if self.compact {
            raw.chunks_exact(4)
                .map(|raw| u64::from(u32::from_le_bytes([raw[0], raw[1], raw[2], raw[3]])))
                .collect()
        } else {
            raw.chunks_exact(8)
                .filter_map(|raw| raw.try_into().ok().map(u64::from_le_bytes))
                .collect()
        };
        Some((next, (offsets, count)))
    }

    fn entry(&self, at: u64) -> Option<Entry> {
        let (kind, _, size) = self.object(at)?;
        if kind != ENTRY {
            return None;
        }
        let body = bytes(self.file, at.checked_add(16)?, 48)?;
        let when = u64::from_le_bytes(body.get(8..16)?.try_into().ok()?);
        let boot = body.get(24..40)?.try_into().ok()?;
        let width = if self.compact { 4 } else { 16 };
        let count = usize::try_from(size.checked_sub(64)? / width)
            .unwrap_or(0)
            .min(MOST_ITEMS);
        let raw = bytes(
            self.file,
            at.checked_add(64)?,
            count * usize::try_from(width).ok()?,
        )?;
        let items = raw
            .chunks_exact(usize::try_from(width).ok()?)
            .filter_map(|item| {
                if self.compact {
                    Some(u64::from(u32::from_le_bytes(item.try_into().ok()?)))
                } else {
                    Some(u64::from_le_bytes(item.get(..8)?.try_into().ok()?))
                }
            });
        Some(Entry {
            when,
            boot,
            items: items.collect(),
        })
    }

    /// The value of a field in an entry; `None` where it is absent or compressed.
    pub(super) fn value(&self, entry: &Entry, name: &str) -> Option<String> {
        entry.items.iter().find_map(|at| {
            let data = self.data(*at)?;
            let value = data
                .text
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
    }

    /// Whether a field of this entry is kept compressed.
    pub(super) fn has_compressed(&self, entry: &Entry) -> bool {
        let mut data = entry.items.iter().filter_map(|at| self.data(*at));
        data.any(|data| data.text.is_empty())
    }
}

/// Exactly `length` bytes at `offset`.
fn bytes(file: &TreeFile, offset: u64, length: usize) -> Option<Vec<u8>> {
    let mut into = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut into[filled..], offset.checked_add(filled as u64)?) {
            Ok(0) | Err(_) => return None,
            Ok(count) => filled += count,
        }
    }
    Some(into)
}
