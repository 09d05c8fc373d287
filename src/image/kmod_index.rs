//! The binary indexes of kmod (`modules.dep.bin`, `modules.alias.bin`, …): a trie, big-endian.
//!
//! busybox reads the text files; kmod's modprobe looks a module up in the indexes only, and says
//! "not found" for one that is just in `modules.dep`. depmod would want the modules unpacked and
//! on a disk, so the indexes are made here.

const MAGIC: u32 = 0xB007_F457;
const VERSION: u32 = 0x0002_0001;

/// Flags in the upper bits of a node's offset.
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_CHILDREN: u32 = 0x4000_0000;
const HAS_VALUES: u32 = 0x2000_0000;
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
    let root = node(&items, 0, &mut out);
    out[8..12].copy_from_slice(&root.to_be_bytes());
    out
}

/// Writes the node for `items`, which agree in their first `depth` bytes, after the nodes below
/// it; returns its offset with its flags.
fn node(items: &[Item], depth: usize, out: &mut Vec<u8>) -> u32 {
    let prefix = common_prefix(items, depth);
    let depth = depth + prefix.len();
    let here = items
        .iter()
        .take_while(|item| item.key.len() == depth)
        .count();
    let (values, below) = items.split_at(here);
    let children: Vec<(u8, u32)> = below
        .chunk_by(|a, b| a.key[depth] == b.key[depth])
        .map(|group| (group[0].key[depth], node(group, depth + 1, out)))
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

    #[test]
    fn one_key_is_a_root_with_a_prefix_and_a_value() {
        let bytes = index(vec![item("loop", 7, "loop.ko:")]);
        let mut wanted = vec![0xB0, 0x07, 0xF4, 0x57, 0, 2, 0, 1, 0xA0, 0, 0, 12];
        wanted.extend_from_slice(b"loop\0\0\0\0\x01\0\0\0\x07loop.ko:\0");
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn keys_branch_where_they_differ() {
        let bytes = index(vec![item("ab", 0, "x"), item("ad", 0, "y")]);
        // b at 12, d at 23, then the root: prefix a, children b..d, nothing for c.
        let leaf = |value: &str| format!("\0\0\0\x01\0\0\0\0{value}\0");
        let text = format!("{}{}a\0bd", leaf("x"), leaf("y"));
        assert_eq!(&bytes[12..12 + text.len()], text.as_bytes());
        assert_eq!(
            &bytes[12 + text.len()..],
            [0x20, 0, 0, 12, 0, 0, 0, 0, 0x20, 0, 0, 22]
        );
        assert_eq!(bytes[8..12], [0xC0, 0, 0, 32]);
    }
}
