//! `/etc/ld.so.cache`, searched exactly as glibc searches it (elf/dl-cache.h describes the file).
//!
//! Pure over the bytes; nothing is copied and nothing is built: the file is sorted, and the
//! loader's own binary search is also what finds (or, in a badly sorted file, does not find) an
//! entry. Every offset in it is untrusted.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cmp::Ordering;

const MAGIC_NEW: &[u8] = b"glibc-ld.so.cache1.1";
const MAGIC_OLD: &[u8] = b"ld.so-1.7.0";
const HEADER_OLD: usize = 16;
const ENTRY_OLD: usize = 12;
const HEADER_NEW: usize = 48;
const ENTRY_NEW: usize = 24;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const EXTENSION_HWCAPS: u32 = 1;
/// Set in `hwcap` when its low half is an index into the table of glibc-hwcaps names.
const HWCAP_EXTENSION: u64 = 1 << 62;
/// The bits of the upper half that hold an ISA level.
const ISA_LEVEL: u64 = 0x3ff << 32;

/// One entry that fits the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The path of the library, as the cache has it.
    pub path: Vec<u8>,
    /// The glibc-hwcaps subdirectory's name, `x86-64-v3`; `None` for a plain entry.
    pub level: Option<Vec<u8>>,
    /// The ISA level that the file itself asks for: 0 baseline, 1 is x86-64-v2 and so on.
    pub isa_level: u32,
}

/// One entry whatever program it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLine {
    /// The class and ABI of the library, as ldconfig encodes them (0x0303 for x86-64).
    pub flags: u32,
    /// The name it is found by.
    pub name: Vec<u8>,
    /// The rest.
    pub entry: CacheEntry,
}

/// A cache file.
#[derive(Clone, Debug)]
pub struct Cache {
    bytes: Vec<u8>,
    little: bool,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Where the entries begin.
    entries: usize,
    /// Size of one.
    entry: usize,
    count: usize,
    /// What string offsets count from.
    strings: usize,
    /// Where the extension's offset counts from; `None` in the old format.
    new_at: Option<usize>,
}

impl Cache {
    /// Looks at the header. `little` is the byte order of the programs that will ask; a file of
    /// the other order is no cache for them, and glibc ignores it as we do.
    #[must_use]
    pub fn parse(bytes: Vec<u8>, little: bool, word64: bool) -> Option<Self> {
        let layout = layout(&bytes, little, word64)?;
        Some(Self {
            bytes,
            little,
            layout,
        })
    }

    /// Every entry for `name` whose flags `fits` accepts, in the file's order.
    pub fn entries<'c>(
        &'c self,
        name: &[u8],
        fits: impl Fn(u32) -> bool + 'c,
    ) -> impl Iterator<Item = CacheEntry> + 'c {
        self.range(name)
            .filter(move |index| self.flags(*index).is_some_and(&fits))
            .filter_map(|index| self.entry(index))
    }

    /// Every entry that can be read, in the file's order, with its flags and name.
    pub fn lines(&self) -> impl Iterator<Item = CacheLine> + '_ {
        (0..self.layout.count).filter_map(|index| {
            Some(CacheLine {
                flags: self.flags(index)?,
                name: self.key(index)?.to_vec(),
                entry: self.entry(index)?,
            })
        })
    }

    /// How many entries the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.count
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layout.count == 0
    }

    /// The run of entries whose key equals `name`, found as `search_cache` in dl-cache.c does:
    /// the entries are in descending order.
    fn range(&self, name: &[u8]) -> std::ops::Range<usize> {
        let (mut low, mut high) = (0, self.layout.count);
        while low < high {
            let middle = low.midpoint(high);
            let Some(key) = self.key(middle) else {
                return 0..0;
            };
            match compare(name, key) {
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
                Ordering::Equal => return self.widen(name, middle),
            }
        }
        0..0
    }

    fn widen(&self, name: &[u8], found: usize) -> std::ops::Range<usize> {
        let equal = |index: usize| {
            self.key(index)
                .is_some_and(|key| compare(name, key) == Ordering::Equal)
        };
        let mut first = found;
        while let Some(before) = first.checked_sub(1).filter(|index| equal(*index)) {
            first = before;
        }
        let mut last = found;
        while last.saturating_add(1) < self.layout.count && equal(last.saturating_add(1)) {
            last = last.saturating_add(1);
        }
        first..last.saturating_add(1)
    }

    fn at(&self, index: usize) -> Option<usize> {
        index
            .checked_mul(self.layout.entry)?
            .checked_add(self.layout.entries)
    }

    fn flags(&self, index: usize) -> Option<u32> {
        self.u32(self.at(index)?)
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        let offset = self.u32(self.at(index)?.checked_add(4)?)?;
        self.string(offset)
    }

    fn entry(&self, index: usize) -> Option<CacheEntry> {
        let at = self.at(index)?;
        let path = self.string(self.u32(at.checked_add(8)?)?)?.to_vec();
        let hwcap = if self.layout.entry == ENTRY_NEW {
            let low = self.u32(at.checked_add(if self.little { 16 } else { 20 })?)?;
            let high = self.u32(at.checked_add(if self.little { 20 } else { 16 })?)?;
            (u64::from(high) << 32) | u64::from(low)
        } else {
            0
        };
        if hwcap == 0 {
            return Some(CacheEntry {
                path,
                level: None,
                isa_level: 0,
            });
        }
        // Anything else is a legacy hwcap, which glibc has not looked at since 2.37.
        if hwcap & !(ISA_LEVEL | 0xffff_ffff) != HWCAP_EXTENSION {
            return None;
        }
        let index = u32::try_from(hwcap & 0xffff_ffff).ok()?;
        Some(CacheEntry {
            path,
            level: Some(self.level(index)?.to_vec()),
            isa_level: u32::try_from((hwcap & ISA_LEVEL) >> 32).ok()?,
        })
    }

    /// The name with this index in the extension's table.
    fn level(&self, index: u32) -> Option<&[u8]> {
        let base = self.layout.new_at?;
        let extension = usize::try_from(self.u32(base.checked_add(32)?)?).ok()?;
        let extension = base.checked_add(extension).filter(|_| extension != 0)?;
        if self.u32(extension)? != EXTENSION_MAGIC {
            return None;
        }
        // Two sections exist; more than a handful is not a cache that ldconfig wrote.
        let count = self.u32(extension.checked_add(4)?)?.min(64);
        let mut section = extension.checked_add(8)?;
        for _ in 0..count {
            if self.u32(section)? == EXTENSION_HWCAPS {
                let offset = usize::try_from(self.u32(section.checked_add(8)?)?).ok()?;
                let size = self.u32(section.checked_add(12)?)?;
                if index >= size / 4 {
                    return None;
                }
                let inside = usize::try_from(index).ok()?.checked_mul(4)?;
                let at = base.checked_add(offset)?.checked_add(inside)?;
                return self.string(self.u32(at)?);
            }
            section = section.checked_add(16)?;
        }
        None
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let start = self
            .layout
            .strings
            .checked_add(usize::try_from(offset).ok()?)?;
        let rest = self.bytes.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest.get(..end)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        u32_at(&self.bytes, at, self.little)
    }
}

fn u32_at(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if little {
        u32::from_le_bytes(word)
    } else {
        u32::from_be_bytes(word)
    })
}

/// The three layouts: new only, old with new behind it, old only.
fn layout(bytes: &[u8], little: bool, word64: bool) -> Option<Layout> {
    if bytes.starts_with(MAGIC_NEW) {
        return new_layout(bytes, 0, little);
    }
    if !bytes.starts_with(MAGIC_OLD) {
        return None;
    }
    let count = usize::try_from(u32_at(bytes, 12, little)?).ok()?;
    let strings = count.checked_mul(ENTRY_OLD)?.checked_add(HEADER_OLD)?;
    if strings > bytes.len() {
        return None;
    }
    // The new part is aligned as its widest member is: 8 bytes, on i386 4.
    let align: usize = if word64 { 8 } else { 4 };
    let new_at = strings.checked_next_multiple_of(align)?;
    if bytes
        .get(new_at..)
        .is_some_and(|rest| rest.starts_with(MAGIC_NEW))
    {
        return new_layout(bytes, new_at, little);
    }
    Some(Layout {
        entries: HEADER_OLD,
        entry: ENTRY_OLD,
        count,
        strings,
        new_at: None,
    })
}

fn new_layout(bytes: &[u8], at: usize, little: bool) -> Option<Layout> {
    let count = usize::try_from(u32_at(bytes, at.checked_add(20)?, little)?).ok()?;
    // 0 is a cache from before the field existed; 2 and 3 name the byte order, 1 is invalid.
    let order = bytes.get(at.checked_add(28)?)? & 3;
    if order != 0 && order != if little { 2 } else { 3 } {
        return None;
    }
    let entries = at.checked_add(HEADER_NEW)?;
    let end = count.checked_mul(ENTRY_NEW)?.checked_add(entries)?;
    (end <= bytes.len()).then_some(Layout {
        entries,
        entry: ENTRY_NEW,
        count,
        strings: at,
        new_at: Some(at),
    })
}

/// `_dl_cache_libcmp`: runs of digits compare as numbers and are greater than anything else.
#[must_use]
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let (a, b) = (left.peek().copied(), right.peek().copied());
        // C compares with the NUL at the end, and `char` is signed on x86.
        let signed = |byte: Option<&u8>| byte.map_or(0, |byte| byte.cast_signed());
        let Some(a) = a else {
            return signed(None).cmp(&signed(b));
        };
        let b_digit = b.is_some_and(u8::is_ascii_digit);
        match (a.is_ascii_digit(), b_digit) {
            (true, true) => {
                let order = number(&mut left).cmp(&number(&mut right));
                if order != Ordering::Equal {
                    return order;
                }
            }
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {
                let order = signed(Some(a)).cmp(&signed(b));
                if order != Ordering::Equal {
                    return order;
                }
                left.next();
                right.next();
            }
        }
    }
}

fn number<'a>(digits: &mut std::iter::Peekable<impl Iterator<Item = &'a u8>>) -> i32 {
    let mut value = 0_i32;
    while let Some(digit) = digits.next_if(|byte| byte.is_ascii_digit()) {
        let digit = i32::from(digit.wrapping_sub(b'0'));
        value = value.wrapping_mul(10).wrapping_add(digit);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_as_ldconfig_orders_them() {
        use Ordering::{Equal, Greater, Less};
        let table: [(&[u8], &[u8], Ordering); 9] = [
            (b"libx2.so", b"libx10.so", Less),
            (b"libx.so.1", b"libx.so", Greater),
            (b"lib1", b"liba", Greater),
            (b"lib01", b"lib1", Equal),
            (b"lib", b"lib", Equal),
            (b"lib", b"lib1", Less),
            (b"", b"\xec", Greater),
            (b"\xec", b"", Less),
            (b"a\xec", b"ab", Less),
        ];
        for (one, other, wanted) in table {
            assert_eq!(compare(one, other), wanted, "{one:?} {other:?}");
        }
    }
}
