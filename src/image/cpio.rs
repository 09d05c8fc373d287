//! cpio in the "new ASCII" form (newc), which the kernel unpacks as an initramfs.
//!
//! It has no place for extended attributes, and 32 bits for sizes and times. Inode numbers are
//! counted up, so that they say nothing about the disk. A file with several names has its data at
//! the last of them: GNU cpio and busybox make the links when the data comes, and the kernel takes
//! either order.

use std::collections::HashMap;
use std::io::{self, Write};

use super::ImageError;
use super::entry::{Body, Content, Entry, Image};
use crate::model::RootPath;

const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFBLK: u32 = 0o060_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// Writes the image as a newc archive. The root itself is the entry `.`.
///
/// # Errors
/// A file that cannot be read, changed meanwhile or has 4 GiB or more, or `out` cannot take it.
pub fn write_cpio(image: &Image, out: &mut dyn Write) -> Result<(), ImageError> {
    let groups = Groups::of(image);
    let mut out = Counting { out, count: 0 };
    for (number, entry) in image.entries().enumerate() {
        // 0 is what the trailer has; GNU cpio takes it for "no inode".
        let own = u32::try_from(number + 1).unwrap_or(u32::MAX);
        write_entry(image, entry, own, &groups, &mut out)?;
    }
    let trailer = Header {
        links: 1,
        ..Header::default()
    };
    trailer.write(TRAILER, &mut out)?;
    // The kernel reads an archive that follows only at a multiple of 4; dd and old loaders like
    // 512.
    out.align(512)
}

/// The files that have several names.
struct Groups {
    by_first: HashMap<RootPath, Group>,
}

#[derive(Clone)]
struct Group {
    inode: u32,
    names: u32,
    last: RootPath,
    size: u64,
    content: Content,
}

impl Groups {
    fn of(image: &Image) -> Self {
        let mut by_first: HashMap<RootPath, Group> = HashMap::new();
        let linked: std::collections::HashSet<&RootPath> = image
            .entries()
            .filter_map(|entry| match &entry.body {
                Body::HardLink { first } => Some(first),
                _ => None,
            })
            .collect();
        for (number, entry) in image.entries().enumerate() {
            match &entry.body {
                Body::File { size, content } if linked.contains(&entry.path) => {
                    let group = Group {
                        inode: u32::try_from(number + 1).unwrap_or(u32::MAX),
                        names: 1,
                        last: entry.path.clone(),
                        size: *size,
                        content: content.clone(),
                    };
                    by_first.insert(entry.path.clone(), group);
                }
                Body::HardLink { first } => {
                    if let Some(group) = by_first.get_mut(first) {
                        group.names += 1;
                        group.last = entry.path.clone();
                    }
                }
                _ => {}
            }
        }
        Self { by_first }
    }
}

fn write_entry(
    image: &Image,
    entry: &Entry,
    own_inode: u32,
    groups: &Groups,
    out: &mut Counting<'_>,
) -> Result<(), ImageError> {
    let mut header = Header {
        inode: own_inode,
        mode: entry.mode | type_bits(&entry.body),
        uid: entry.uid,
        gid: entry.gid,
        links: if matches!(entry.body, Body::Directory) {
            2
        } else {
            1
        },
        // A time before 1970 or after 2106 does not fit.
        modified: u32::try_from(entry.modified.max(0)).unwrap_or(u32::MAX),
        ..Header::default()
    };
    // Whose content is written after the header, under which path, and how long it is.
    let mut data: Option<(&RootPath, &Content, u64)> = None;
    let first = match &entry.body {
        Body::HardLink { first } => first,
        _ => &entry.path,
    };
    match (&entry.body, groups.by_first.get(first)) {
        (_, Some(group)) => {
            header.inode = group.inode;
            header.links = group.names;
            if group.last == entry.path {
                data = Some((first, &group.content, group.size));
            }
        }
        (Body::File { size, content }, None) => data = Some((&entry.path, content, *size)),
        (Body::Device { major, minor, .. }, None) => header.device = (*major, *minor),
        _ => {}
    }
    if let Some((_, _, size)) = data {
        header.size = u32::try_from(size).map_err(|_too_big| ImageError::Unfit {
            path: entry.path.clone(),
            why: "it has 4 GiB or more, and a cpio archive has 32 bits for a size",
        })?;
    }
    if let Body::Link { target } = &entry.body {
        header.size = u32::try_from(target.len()).unwrap_or(u32::MAX);
    }
    header.write(&name_of(entry), out)?;
    if let Body::Link { target } = &entry.body {
        out.write_all(target)?;
    }
    if let Some((path, content, size)) = data {
        image.copy(path, content, size, out)?;
    }
    out.align(4)
}

/// `.` for the root; a file that has the trailer's name must not end the archive.
fn name_of(entry: &Entry) -> Vec<u8> {
    match entry.name() {
        b"" => b".".to_vec(),
        TRAILER => [b"./", TRAILER].concat(),
        name => name.to_vec(),
    }
}

fn type_bits(body: &Body) -> u32 {
    match body {
        Body::Directory => S_IFDIR,
        Body::File { .. } | Body::HardLink { .. } => S_IFREG,
        Body::Link { .. } => S_IFLNK,
        Body::Device { block: true, .. } => S_IFBLK,
        Body::Device { block: false, .. } => S_IFCHR,
        Body::Fifo => S_IFIFO,
    }
}

#[derive(Default)]
struct Header {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    modified: u32,
    size: u32,
    device: (u32, u32),
}

impl Header {
    /// Magic and thirteen numbers of eight hexadecimal digits, the name, and padding.
    fn write(&self, name: &[u8], out: &mut Counting<'_>) -> Result<(), ImageError> {
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [
            self.inode,
            self.mode,
            self.uid,
            self.gid,
            self.links,
            self.modified,
            self.size,
            0, // the device that the file was on: one for all
            0,
            self.device.0,
            self.device.1,
            name_size,
            0, // a checksum in the other form, newcrc
        ];
        out.write_all(b"070701")?;
        for field in fields {
            write!(out, "{field:08X}")?;
        }
        out.write_all(name)?;
        out.write_all(b"\0")?;
        out.align(4)
    }
}

/// Knows how far it is, for padding.
struct Counting<'out> {
    out: &'out mut dyn Write,
    count: u64,
}

impl Counting<'_> {
    fn align(&mut self, to: u64) -> Result<(), ImageError> {
        while !self.count.is_multiple_of(to) {
            self.write_all(&[0])?;
        }
        Ok(())
    }
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_the_known_bytes() {
        let mut bytes = Vec::new();
        let mut out = Counting {
            out: &mut bytes,
            count: 0,
        };
        let header = Header {
            inode: 1,
            mode: 0o100_755,
            links: 1,
            size: 3,
            modified: 255,
            ..Header::default()
        };
        header.write(b"init", &mut out).unwrap();
        let wanted = "07070100000001000081ED000000000000000000000001000000FF00000003\
                      000000000000000000000000000000000000000500000000init\0\0";
        assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
    }

    #[test]
    fn no_file_can_end_the_archive() {
        let entry = Entry::of_root(RootPath::new("/TRAILER!!!"), 0o644, 0, Body::Fifo);
        assert_eq!(name_of(&entry), b"./TRAILER!!!");
    }
}
