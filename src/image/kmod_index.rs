//! The binary indexes of kmod (`modules.dep.bin`, `modules.alias.bin`, …): a trie, big-endian.
//!
//! busybox reads the text files; kmod's modprobe looks a module up in the indexes only, and says
//! "not found" for one that is just in `modules.dep`. depmod would want the modules unpacked and
//! on a disk, so the indexes are made here.

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;

/// Flags in the upper bits of a node's offset.
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// The bits that are left for the offset.
const OFFSET: u32 = 0x0FFF_FFFF;

/// A key with one of its values; of several values the lowest priority is taken first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// 7-bit characters, as in module names and aliases.
    pub key: Vec<u8>,
    /// The module's position in `modules.order`.
    pub priority: u32,
    /// Without a NUL.
    pub value: Vec<u8>,
}

/// The bytes of an index. Keys that kmod could not store (NUL, 8-bit) are left out.
pub(super) fn index(mut items: Vec<Item>) -> Vec<u8> {
    items.retain(|item| item.key.iter().all(|byte| (1..128).contains(byte)));
    items.sort();
    items.dedup();
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    let root = node(&items, 0, Prefix::None, &mut out);
    out[8..12].copy_from_slice(&root.to_be_bytes());
    out
}

/// Whether a node may begin with what its keys have in common. The root does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    None,
    Common,
}

/// Writes the node for `items`, which agree in their first `depth` bytes, after the nodes below
/// it; returns its offset with its flags.
fn node(items: &[Item], depth: usize, prefix: Prefix, out: &mut Vec<u8>) -> u32 {
    let prefix = match prefix {
        Prefix::None => &[],
        Prefix::Common => common_prefix(items, depth),
    };
    let depth = depth + prefix.len();
    let here = items
        .iter()
        .take_while(|item| item.key.len() == depth)
        .count();
    let (values, below) = items.split_at(here);
    let children: Vec<(u8, u32)> = below
        .chunk_by(|a, b| a.key[depth] == b.key[depth])
        .map(|group| {
            (
                group[0].key[depth],
                node(group, depth + 1, Prefix::Common, out),
            )
        })
        .collect();

    let mut flags = u32::try_from(out.len()).unwrap_or(u32::MAX) & OFFSET;
    if !prefix.is_empty() {
        flags |= HAS_PREFIX;
        out.extend_from_slice(prefix);
        out.push(0);
    }
    if let (Some((first, _)), Some((last, _))) = (children.first(), children.last()) {
        flags |= HAS_CHILDREN;
        out.extend_from_slice(&[*first, *last]);
        let mut children = children.iter().peekable();
        for byte in *first..=*last {
            // 0: nothing begins with this byte.
            let offset = children
                .next_if(|child| child.0 == byte)
                .map_or(0, |child| child.1);
            out.extend_from_slice(&offset.to_be_bytes());
        }
    }
    if !values.is_empty() {
        flags |= HAS_VALUES;
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        for item in values {
            out.extend_from_slice(&item.priority.to_be_bytes());
            out.extend_from_slice(&item.value);
            out.push(0);
        }
    }
    flags
}

/// What all keys have in common from `depth` on. Sorted, so the first and the last decide.
fn common_prefix(items: &[Item], depth: usize) -> &[u8] {
    let (Some(first), Some(last)) = (items.first(), items.last()) else {
        return &[];
    };
    let (first, last) = (&first.key[depth..], &last.key[depth..]);
    let length = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    &first[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, priority: u32, value: &str) -> Item {
        Item {
            key: key.into(),
            priority,
            value: value.into(),
        }
    }

    /// What depmod 30 wrote for these two.
    #[test]
    fn the_bytes_are_depmod_s() {
        let bytes = index(vec![
            item("symbol:mb_get", 1, "mbcache"),
            item("symbol:dm_x", 5, "dm_mod"),
        ]);
        let mut wanted = vec![0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0x20, 0, 0, 0x66];
        wanted.extend_from_slice(b"m_x\0\0\0\0\x01\0\0\0\x05dm_mod\0");
        wanted.extend_from_slice(b"b_get\0\0\0\0\x01\0\0\0\x01mbcache\0");
        wanted.extend_from_slice(b"ymbol:\0dm\xc0\0\0\x0c");
        wanted.extend_from_slice(&[0; 8 * 4]);
        wanted.extend_from_slice(b"\xc0\0\0\x1fss\xa0\0\0\x35");
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn no_key_is_a_bare_root() {
        assert_eq!(index(Vec::new())[8..], [0, 0, 0, 12]);
    }

    #[test]
    fn a_key_that_is_the_start_of_another_has_values_and_children() {
        let bytes = index(vec![
            item("a", 0, "x"),
            item("ab", 0, "y"),
            item("a", 3, "z"),
        ]);
        let mut wanted = b"\0\0\0\x01\0\0\0\0y\0".to_vec();
        wanted.extend_from_slice(b"bb\x40\0\0\x0c\0\0\0\x02\0\0\0\0x\0\0\0\0\x03z\0");
        wanted.extend_from_slice(b"aa\x60\0\0\x16");
        assert_eq!(bytes[12..], wanted);
    }
}
