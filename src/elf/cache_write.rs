//! Writing an `ld.so.cache` in the format of glibc 2.32 and later, which every glibc since 2.2
//! reads apart from the hwcaps table.
//!
//! Pure: entries to bytes. The order is what matters: the loader searches by halving, so one entry
//! out of place hides others while `ldconfig -p` still shows them.

use std::collections::BTreeMap;

use super::cache::{CacheLine, compare};

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// The table of glibc-hwcaps names.
const TAG_HWCAPS: u32 = 1;
/// One section: tag, flags, offset, size; before it the magic and the count.
const EXTENSION: usize = 8 + 16;
/// Says that the low half of `hwcap` is an index into that table.
const HWCAP_EXTENSION: u64 = 1 << 62;

/// The bytes of a cache with these entries; `little` is the byte order of the programs.
///
/// Returns `None` when they do not fit the format's 32-bit offsets.
#[must_use]
pub fn write(lines: &[CacheLine], little: bool) -> Option<Vec<u8>> {
    let mut sorted: Vec<&CacheLine> = lines.iter().collect();
    sorted.sort_by(|a, b| {
        compare(&b.name, &a.name)
            .then_with(|| b.flags.cmp(&a.flags))
            // glibc-hwcaps entries before plain ones, by their names.
            .then_with(|| a.entry.level.is_none().cmp(&b.entry.level.is_none()))
            .then_with(|| a.entry.level.cmp(&b.entry.level))
    });
    sorted.dedup();
    let mut levels: Vec<&[u8]> = sorted
        .iter()
        .filter_map(|line| line.entry.level.as_deref())
        .collect();
    levels.sort_unstable();
    levels.dedup();

    let strings_at = HEADER + ENTRY * sorted.len();
    let mut strings = Strings {
        start: strings_at,
        bytes: Vec::new(),
        known: BTreeMap::new(),
    };
    let mut entries = Vec::with_capacity(ENTRY * sorted.len());
    let mut put = Put { little };
    for line in &sorted {
        put.u32(&mut entries, line.flags);
        put.u32(&mut entries, strings.offset(&line.name)?);
        put.u32(&mut entries, strings.offset(&line.entry.path)?);
        put.u32(&mut entries, 0);
        put.u64(&mut entries, hwcap(line, &levels));
    }
    let level_offsets: Option<Vec<u32>> =
        levels.iter().map(|level| strings.offset(level)).collect();
    let level_offsets = level_offsets?;

    let extension_at = (strings_at + strings.bytes.len()).next_multiple_of(4);
    let mut out = Vec::with_capacity(extension_at + EXTENSION);
    out.extend_from_slice(MAGIC);
    put.u32(&mut out, u32::try_from(sorted.len()).ok()?);
    put.u32(&mut out, u32::try_from(strings.bytes.len()).ok()?);
    out.extend_from_slice(&[if little { 2 } else { 3 }, 0, 0, 0]);
    let extension = if levels.is_empty() { 0 } else { extension_at };
    put.u32(&mut out, u32::try_from(extension).ok()?);
    out.resize(HEADER, 0);
    out.extend_from_slice(&entries);
    out.extend_from_slice(&strings.bytes);
    if !levels.is_empty() {
        out.resize(extension_at, 0);
        let table = u32::try_from(extension_at + EXTENSION).ok()?;
        let size = u32::try_from(level_offsets.len() * 4).ok()?;
        for word in [EXTENSION_MAGIC, 1, TAG_HWCAPS, 0, table, size] {
            put.u32(&mut out, word);
        }
        for offset in level_offsets {
            put.u32(&mut out, offset);
        }
    }
    Some(out)
}

fn hwcap(line: &CacheLine, levels: &[&[u8]]) -> u64 {
    let Some(level) = line.entry.level.as_deref() else {
        return 0;
    };
    let index = levels.binary_search(&level).unwrap_or(0) as u64;
    HWCAP_EXTENSION | (u64::from(line.entry.isa_level) << 32) | index
}

/// Each string once, ended by NUL; offsets count from the start of the file.
struct Strings {
    start: usize,
    bytes: Vec<u8>,
    known: BTreeMap<Vec<u8>, usize>,
}

impl Strings {
    fn offset(&mut self, text: &[u8]) -> Option<u32> {
        let at = if let Some(at) = self.known.get(text) {
            *at
        } else {
            let at = self.start + self.bytes.len();
            self.bytes.extend_from_slice(text);
            self.bytes.push(0);
            self.known.insert(text.to_vec(), at);
            at
        };
        u32::try_from(at).ok()
    }
}

struct Put {
    little: bool,
}

impl Put {
    fn u32(&mut self, out: &mut Vec<u8>, word: u32) {
        out.extend_from_slice(&if self.little {
            word.to_le_bytes()
        } else {
            word.to_be_bytes()
        });
    }

    fn u64(&mut self, out: &mut Vec<u8>, word: u64) {
        out.extend_from_slice(&if self.little {
            word.to_le_bytes()
        } else {
            word.to_be_bytes()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::{Cache, CacheEntry};
    use super::*;

    fn line(name: &str, path: &str, level: Option<&str>) -> CacheLine {
        CacheLine {
            flags: 0x0303,
            name: name.into(),
            entry: CacheEntry {
                path: path.into(),
                level: level.map(Into::into),
                isa_level: level.map_or(0, |_| 2),
            },
        }
    }

    #[test]
    fn what_is_written_is_found_again_by_the_loaders_own_search() {
        // Names whose order differs between strcmp and libcmp.
        let names = [
            "liba.so.9",
            "liba.so.10",
            "libz.so.1",
            "lib1.so",
            "libA.so",
            "liba+.so.2",
        ];
        let mut lines: Vec<CacheLine> = names
            .iter()
            .map(|name| line(name, &format!("/opt/lib/{name}"), None))
            .collect();
        lines.push(line(
            "libz.so.1",
            "/opt/lib/glibc-hwcaps/x86-64-v3/libz.so.1",
            Some("x86-64-v3"),
        ));
        lines.push(line(
            "libz.so.1",
            "/opt/lib/glibc-hwcaps/x86-64-v2/libz.so.1",
            Some("x86-64-v2"),
        ));
        for little in [true, false] {
            let bytes = write(&lines, little).unwrap();
            let cache = Cache::parse(bytes, little, true).unwrap();
            for expected in &lines {
                let found: Vec<CacheEntry> = cache
                    .entries(&expected.name, |flags| flags == 0x0303)
                    .collect();
                assert!(found.contains(&expected.entry), "{expected:?}: {found:?}");
            }
            assert_eq!(cache.lines().count(), lines.len());
            let levels: Vec<bool> = cache
                .entries(b"libz.so.1", |_| true)
                .map(|entry| entry.level.is_some())
                .collect();
            assert_eq!(levels, [true, true, false]);
        }
    }

    #[test]
    fn an_empty_cache_is_a_cache() {
        let cache = Cache::parse(write(&[], true).unwrap(), true, true).unwrap();
        assert!(cache.is_empty());
    }
}
