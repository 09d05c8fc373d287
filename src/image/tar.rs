//! tar: ustar headers, and POSIX pax records for what they cannot hold.
//!
//! A record is written only where the header is too small (long names, big numbers) or has no
//! field (extended attributes, as `SCHILY.xattr.NAME`, which GNU tar, bsdtar, libarchive, Go and
//! the OCI tools read). Names are raw bytes as GNU tar writes them, whatever their encoding.
//! Times are whole seconds.

use std::io::Write;

use super::ImageError;
use super::entry::{Body, Entry, Image};

/// A tar archive has records of this many bytes.
const BLOCK: usize = 512;

/// Writes the image as a tar archive. The root itself is the entry `./`.
///
/// # Errors
/// A file that cannot be read or changed meanwhile, or `out` cannot take it.
pub fn write_tar(image: &Image, out: &mut dyn Write) -> Result<(), ImageError> {
    for entry in image.entries() {
        header(entry, out)?;
        if let Body::File { size, content } = &entry.body {
            image.copy(&entry.path, content, *size, out)?;
            padding(*size, out)?;
        }
    }
    finish(out)
}

/// Writes one regular file of root's, for an archive that is not of a root. `content` is called
/// with the output and has to write exactly `size` bytes.
pub(super) fn write_file(
    name: &str,
    size: u64,
    modified: i64,
    out: &mut dyn Write,
    content: impl FnOnce(&mut dyn Write) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let body = Body::File {
        size,
        content: super::Content::Bytes(Vec::new()),
    };
    let entry = Entry::of_root(crate::model::RootPath::new(name), 0o644, modified, body);
    header(&entry, out)?;
    content(out)?;
    padding(size, out)
}

/// Writes one directory of root's, likewise.
pub(super) fn write_directory(
    name: &str,
    modified: i64,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let path = crate::model::RootPath::new(name);
    let entry = Entry::of_root(path, 0o755, modified, Body::Directory);
    header(&entry, out)
}

/// Two blocks of zeros end an archive.
pub(super) fn finish(out: &mut dyn Write) -> Result<(), ImageError> {
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(())
}

fn padding(size: u64, out: &mut dyn Write) -> Result<(), ImageError> {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if over > 0 {
        out.write_all(&[0; BLOCK][over..])?;
    }
    Ok(())
}

fn header(entry: &Entry, out: &mut dyn Write) -> Result<(), ImageError> {
    let mut records = Records::default();
    let mut block = Block::new();
    block.text(NAME, &name_of(entry), "path", &mut records);
    block.octal(MODE, u64::from(entry.mode));
    block.number(UID, u64::from(entry.uid), "uid", &mut records);
    block.number(GID, u64::from(entry.gid), "gid", &mut records);
    block.time(entry.modified, &mut records);
    let mut size = 0;
    let kind = match &entry.body {
        Body::File { size: bytes, .. } => {
            size = *bytes;
            b'0'
        }
        Body::HardLink { first } => {
            let first = first.as_bytes().strip_prefix(b"/").unwrap_or_default();
            block.text(LINK, first, "linkpath", &mut records);
            b'1'
        }
        Body::Link { target } => {
            block.text(LINK, target, "linkpath", &mut records);
            b'2'
        }
        Body::Device {
            block: b,
            major,
            minor,
        } => {
            block.octal(MAJOR, u64::from(*major));
            block.octal(MINOR, u64::from(*minor));
            if *b { b'4' } else { b'3' }
        }
        Body::Directory => b'5',
        Body::Fifo => b'6',
    };
    block.number(SIZE, size, "size", &mut records);
    block.bytes[TYPE] = kind;
    // A further name of a file has no attributes of its own.
    if !matches!(entry.body, Body::HardLink { .. }) {
        for xattr in &entry.xattrs {
            let mut key = b"SCHILY.xattr.".to_vec();
            key.extend_from_slice(&xattr.name);
            records.add(&key, &xattr.value);
        }
    }
    records.write(out)?;
    out.write_all(&block.summed())?;
    Ok(())
}

fn name_of(entry: &Entry) -> Vec<u8> {
    let mut name = entry.name().to_vec();
    if name.is_empty() {
        name.extend_from_slice(b"./");
    } else if matches!(entry.body, Body::Directory) {
        name.push(b'/');
    }
    name
}

/// A field: where it starts and how long it is (POSIX ustar).
type Field = (usize, usize);
const NAME: Field = (0, 100);
const MODE: Field = (100, 8);
const UID: Field = (108, 8);
const GID: Field = (116, 8);
const SIZE: Field = (124, 12);
const MTIME: Field = (136, 12);
const CHECKSUM: Field = (148, 8);
const TYPE: usize = 156;
const LINK: Field = (157, 100);
const MAGIC: Field = (257, 8);
const MAJOR: Field = (329, 8);
const MINOR: Field = (337, 8);

struct Block {
    bytes: [u8; BLOCK],
}

impl Block {
    fn new() -> Self {
        let mut block = Self { bytes: [0; BLOCK] };
        block.put(MAGIC, b"ustar\x0000");
        block.octal(MAJOR, 0);
        block.octal(MINOR, 0);
        block
    }

    fn put(&mut self, (start, _): Field, bytes: &[u8]) {
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Octal digits and a NUL; the caller knows that it fits.
    fn octal(&mut self, field: Field, value: u64) {
        let width = field.1 - 1;
        let digits = format!("{value:0width$o}");
        // A Linux device number has 12 and 20 bits, a mode 12: seven digits hold them all.
        let digits = &digits[digits.len().saturating_sub(width)..];
        self.put(field, digits.as_bytes());
    }

    /// The number, or zero and a record when the field is too small.
    fn number(&mut self, field: Field, value: u64, key: &str, records: &mut Records) {
        let bits = 3 * (field.1 - 1);
        if value >> bits == 0 {
            self.octal(field, value);
        } else {
            self.octal(field, 0);
            records.add(key.as_bytes(), value.to_string().as_bytes());
        }
    }

    fn time(&mut self, seconds: i64, records: &mut Records) {
        match u64::try_from(seconds) {
            Ok(seconds) => self.number(MTIME, seconds, "mtime", records),
            // Before 1970.
            Err(_) => {
                self.octal(MTIME, 0);
                records.add(b"mtime", seconds.to_string().as_bytes());
            }
        }
    }

    /// The text, cut when the field is too small; the record has all of it then.
    fn text(&mut self, field: Field, text: &[u8], key: &str, records: &mut Records) {
        if text.len() > field.1 {
            records.add(key.as_bytes(), text);
        }
        self.put(field, &text[..text.len().min(field.1)]);
    }

    fn summed(mut self) -> [u8; BLOCK] {
        // The sum counts its own field as blanks: six digits, NUL, blank.
        self.put(CHECKSUM, b"        ");
        let sum: u32 = self.bytes.iter().map(|byte| u32::from(*byte)).sum();
        self.put(CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
        self.bytes
    }
}

/// What goes into a pax header before the entry's own.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
}

impl Records {
    /// `LENGTH KEY=VALUE\n`, where LENGTH counts itself.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), ImageError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let size = self.bytes.len() as u64;
        let mut block = Block::new();
        block.put(NAME, b"PaxHeaders/entry");
        block.octal(MODE, 0o644);
        block.octal(UID, 0);
        block.octal(GID, 0);
        block.octal(MTIME, 0);
        block.octal(SIZE, size);
        block.bytes[TYPE] = b'x';
        out.write_all(&block.summed())?;
        out.write_all(&self.bytes)?;
        padding(size, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> String {
        let mut records = Records::default();
        records.add(key.as_bytes(), value.as_bytes());
        String::from_utf8(records.bytes).unwrap()
    }

    #[test]
    fn a_record_counts_its_own_length() {
        // The digits of the length may make the record longer, and so the length.
        assert_eq!(
            record("ctime", "1084839148.1212"),
            "25 ctime=1084839148.1212\n"
        );
        for length in 80..110 {
            let text = record("path", &"x".repeat(length));
            let said: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, text.len());
        }
    }

    fn written(entry: &Entry) -> Vec<u8> {
        let mut out = Vec::new();
        header(entry, &mut out).unwrap();
        out
    }

    #[test]
    fn a_plain_entry_is_one_ustar_block() {
        let path = crate::model::RootPath::new("/bin/sh");
        let target = b"dash".to_vec();
        let bytes = written(&Entry::of_root(path, 0o777, 0o1234, Body::Link { target }));
        assert_eq!(bytes.len(), BLOCK);
        assert!(bytes.starts_with(b"bin/sh\0"));
        assert_eq!(
            &bytes[100..157],
            b"0000777\x000000000\x000000000\x0000000000000\x0000000001234\x00011163\x00 2"
        );
        assert!(bytes[157..].starts_with(b"dash\0"));
        assert_eq!(&bytes[257..265], b"ustar\x0000");
    }

    #[test]
    fn what_a_header_cannot_hold_becomes_a_record() {
        let path = crate::model::RootPath::new("x".repeat(300));
        let size = 1 << 40;
        let content = super::super::Content::Root;
        let mut entry = Entry::of_root(path, 0o644, -5, Body::File { size, content });
        entry.uid = 3_000_000;
        let bytes = written(&entry);
        let text = String::from_utf8_lossy(&bytes[BLOCK..2 * BLOCK]);
        for wanted in [
            "=xxxx",
            "size=1099511627776\n",
            "uid=3000000\n",
            "mtime=-5\n",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert_eq!(bytes[TYPE], b'x');
        assert_eq!(bytes.len(), 3 * BLOCK);
    }
}
