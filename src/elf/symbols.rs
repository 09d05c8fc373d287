//! Looking a symbol up in an object, by the hash tables that the loader uses: no list of symbols
//! is built, and a hostile table cannot make the walk longer than the table.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use goblin::elf::sym::Sym;
use scroll::Pread;

use super::object::Object;
use super::read::{fill, read_up_to};
use crate::root::TreeFile;

/// `SHN_UNDEF`: needed, not defined.
const UNDEFINED: usize = 0;
/// Chains are short; one of 64 Ki symbols is not a hash table.
const MAX_CHAIN: u32 = 1 << 16;

/// Whether the object defines `name`.
#[must_use]
pub fn defines(file: &TreeFile, object: &Object, name: &[u8]) -> bool {
    let look = Look { file, object };
    if object.tables.gnu_hash.is_some() {
        return look.by_gnu_hash(name).is_some();
    }
    look.by_hash(name).is_some()
}

struct Look<'a> {
    file: &'a TreeFile,
    object: &'a Object,
}

impl Look<'_> {
    /// The `index`th 32-bit word of the table at `address`.
    fn word(&self, address: u64, index: u64) -> Option<u32> {
        let address = address.checked_add(index.checked_mul(4)?)?;
        let (offset, _) = self.object.offset_of(address)?;
        let mut bytes = [0; 4];
        if fill(self.file, &mut bytes, offset) != 4 {
            return None;
        }
        Some(if self.object.target.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    }

    fn by_gnu_hash(&self, name: &[u8]) -> Option<()> {
        let table = self.object.tables.gnu_hash?;
        let buckets = u64::from(self.word(table, 0)?);
        let first = self.word(table, 1)?;
        let bloom_words = u64::from(self.word(table, 2)?);
        let word_size = if self.object.target.class == 1 { 1 } else { 2 };
        let bucket_at = bloom_words.checked_mul(word_size)?.checked_add(4)?;
        let hash = gnu_hash(name);
        let bucket = u64::from(hash).checked_rem(buckets)?;
        let start = self.word(table, bucket_at.checked_add(bucket)?)?;
        let chain_at = bucket_at.checked_add(buckets)?;
        let mut index = start.checked_sub(first)?;
        for _ in 0..MAX_CHAIN {
            let link = self.word(table, chain_at.checked_add(u64::from(index))?)?;
            if link | 1 == hash | 1 && self.is(index.checked_add(first)?, name)? {
                return Some(());
            }
            if link & 1 == 1 {
                return None;
            }
            index = index.checked_add(1)?;
        }
        None
    }

    fn by_hash(&self, name: &[u8]) -> Option<()> {
        let table = self.object.tables.hash?;
        let buckets = self.word(table, 0)?;
        let bucket = sysv_hash(name).checked_rem(buckets)?;
        let chain_at = u64::from(buckets).checked_add(2)?;
        let mut index = self.word(table, u64::from(bucket).checked_add(2)?)?;
        for _ in 0..MAX_CHAIN {
            if index == 0 {
                return None;
            }
            if self.is(index, name)? {
                return Some(());
            }
            index = self.word(table, chain_at.checked_add(u64::from(index))?)?;
        }
        None
    }

    /// Whether symbol `index` is defined and called `name`.
    fn is(&self, index: u32, name: &[u8]) -> Option<bool> {
        let size: u64 = if self.object.target.class == 1 {
            16
        } else {
            24
        };
        let address = u64::from(index)
            .checked_mul(size)?
            .checked_add(self.object.tables.symtab?)?;
        let (offset, _) = self.object.offset_of(address)?;
        let bytes = read_up_to(self.file, offset, usize::try_from(size).ok()?);
        let symbol: Sym = bytes.pread_with(0, self.object.target.ctx()).ok()?;
        if symbol.st_shndx == UNDEFINED {
            return Some(false);
        }
        let at = u64::try_from(symbol.st_name).ok()?;
        let (offset, _) = self
            .object
            .offset_of(self.object.tables.strtab?.checked_add(at)?)?;
        let text = read_up_to(self.file, offset, name.len().checked_add(1)?);
        Some(text.strip_prefix(name) == Some(&[0]))
    }
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

fn sysv_hash(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, byte| {
        let hash = hash.wrapping_shl(4).wrapping_add(u32::from(*byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        assert_eq!(gnu_hash(b"printf"), 0x156b_2bb8);
        assert_eq!(sysv_hash(b"printf"), 0x077905a6);
    }
}
