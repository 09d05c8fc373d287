//! Writes a small newc archive: files that a case lays over the live system. The kernel unpacks
//! archives that follow one another in an initramfs, so nothing has to be made again for them.

/// One entry.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Without the leading slash.
    pub(crate) path: &'a str,
    /// Type and permission bits.
    pub(crate) mode: u32,
    pub(crate) content: &'a [u8],
}

/// The archive, padded so that another may follow.
pub(crate) fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        add(&mut bytes, at + 1, entry);
    }
    add(&mut bytes, 0, &Entry { path: "TRAILER!!!", mode: 0, content: &[] });
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn add(bytes: &mut Vec<u8>, inode: usize, entry: &Entry<'_>) {
    let size = entry.content.len();
    let name = entry.path.len() + 1;
    let header = format!(
        "070701{inode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{:08x}{:08x}{name:08x}{:08x}",
        entry.mode, 0, 0, 1, 0, 0, 0, 0, 0, 0
    );
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(entry.path.as_bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(entry.content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
