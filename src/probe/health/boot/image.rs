//! Is this file a kernel, is that one an initramfs, and do they have an end?
//!
//! An image is never unpacked where its format says its length: the frames and blocks are walked
//! by their headers, a few bytes each. Only gzip has no lengths; it is inflated into nothing.

use std::io::Read;

use crate::model::{Kind, RootPath};
use crate::root::{Tree, TreeFile};

/// What an initramfs is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// Every part of it was found, of this compression.
    Whole(&'static str),
    /// It is damaged, and how.
    Bad(String),
    /// Of a compression that is not followed to its end.
    Unknown,
}

/// Longer images are not followed.
const LONGEST: u64 = 2 << 30;
/// What an image may unpack to.
const MOST_UNPACKED: u64 = 2 << 30;
/// Blocks and cpio members of one image.
const MOST_STEPS: usize = 2_000_000;

/// Reads with a place of its own.
struct Cursor<'f> {
    file: &'f TreeFile,
    at: u64,
    size: u64,
    buffer: Vec<u8>,
    start: u64,
}

const WINDOW: usize = 64 << 10;

impl<'f> Cursor<'f> {
    fn new(file: &'f TreeFile, size: u64) -> Self {
        Self {
            file,
            at: 0,
            size,
            buffer: Vec::new(),
            start: 0,
        }
    }

    /// `length` bytes at the cursor, which moves past them.
    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let end = self.at.checked_add(length as u64)?;
        if end > self.size {
            return None;
        }
        let inside = self
            .at
            .checked_sub(self.start)
            .and_then(|from| usize::try_from(from).ok());
        let have = inside.and_then(|from| self.buffer.get(from..from.checked_add(length)?));
        if let Some(have) = have {
            let have = have.to_vec();
            self.at = end;
            return Some(have);
        }
        let mut buffer = vec![0; WINDOW.max(length)];
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], self.at + filled as u64)
            {
                Ok(0) | Err(_) => break,
                Ok(count) => filled += count,
            }
        }
        buffer.truncate(filled);
        let taken = buffer.get(..length)?.to_vec();
        self.start = self.at;
        self.buffer = buffer;
        self.at = end;
        Some(taken)
    }

    fn skip(&mut self, length: u64) -> Option<()> {
        let end = self.at.checked_add(length)?;
        (end <= self.size).then(|| self.at = end)
    }

    fn little32(&mut self) -> Option<u32> {
        let raw: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(raw))
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether `path` can be a kernel.
///
/// # Errors
/// What is wrong with it, in words.
pub fn kernel(tree: &dyn Tree, path: &RootPath) -> Result<(), String> {
    let file = tree.open(path).map_err(|error| error.to_string())?;
    let meta = file.meta().map_err(|error| error.to_string())?;
    if meta.kind != Kind::File {
        return Err("no regular file".into());
    }
    let mut head = vec![0; 0x210];
    let count = file
        .read_at(&mut head, 0)
        .map_err(|error| error.to_string())?;
    head.truncate(count);
    if head.iter().all(|byte| *byte == 0) {
        return Err("it holds zeros only".into());
    }
    if head.get(0x202..0x206) == Some(b"HdrS") {
        return bz_image(&head, meta.size);
    }
    // An EFI stub, a compressed image of another architecture, an ELF kernel, a U-Boot image,
    // arm64's own header.
    let known: [&[u8]; 6] = [
        b"MZ",
        b"\x1f\x8b",
        b"\x7fELF",
        b"\x27\x05\x19\x56",
        b"\x28\xb5\x2f\xfd",
        b"\xd0\x0d\xfe\xed",
    ];
    let arm = head.get(0x38..0x3c) == Some(b"ARM\x64")
        || head.get(0x24..0x28) == Some(&[0x18, 0x28, 0x6f, 0x01]);
    if arm || known.iter().any(|magic| head.starts_with(magic)) {
        return Ok(());
    }
    Err("it does not begin like a kernel".into())
}

/// The x86 boot protocol: setup sectors, then `syssize` paragraphs.
fn bz_image(head: &[u8], size: u64) -> Result<(), String> {
    let sectors = match head.get(0x1f1).copied().unwrap_or(0) {
        0 => 4,
        sectors => sectors,
    };
    let raw: [u8; 4] = head
        .get(0x1f4..0x1f8)
        .and_then(|raw| raw.try_into().ok())
        .unwrap_or_default();
    let end = (u64::from(sectors) + 1) * 512 + u64::from(u32::from_le_bytes(raw)) * 16;
    if size < end {
        return Err(format!("it is cut off: {size} bytes of {end}"));
    }
    Ok(())
}

/// What kind of image an initramfs is, and whether it has an end.
#[must_use]
pub fn initramfs(tree: &dyn Tree, path: &RootPath) -> Image {
    let Ok(file) = tree.open(path) else {
        return Image::Bad("it cannot be opened".into());
    };
    let Ok(meta) = file.meta() else {
        return Image::Bad("it cannot be read".into());
    };
    if meta.kind != Kind::File || meta.size == 0 {
        return Image::Bad("it is empty".into());
    }
    if meta.size > LONGEST {
        return Image::Unknown;
    }
    let mut cursor = Cursor::new(&file, meta.size);
    match follow(&mut cursor) {
        Ok(image) => image,
        Err(why) => Image::Bad(why),
    }
}

/// Archives without compression come first (microcode), then the image proper.
fn follow(cursor: &mut Cursor<'_>) -> Result<Image, String> {
    let mut archives = 0;
    for _ in 0..16 {
        skip_zeros(cursor);
        let begin = cursor.at;
        let Some(magic) = cursor.take(6) else {
            break;
        };
        cursor.at = begin;
        if magic.starts_with(b"07070") {
            cpio(cursor)?;
            archives += 1;
            continue;
        }
        return compressed(cursor, &magic, archives);
    }
    // Microcode alone is no initramfs; one archive may be the whole of it (an image without
    // compression), and nothing tells the two apart but the size.
    match archives {
        0 => Err("it is neither an archive nor compressed".into()),
        _ if cursor.size < 64 << 10 => Err("nothing follows its first archive".into()),
        _ => Ok(Image::Whole("cpio")),
    }
}

fn skip_zeros(cursor: &mut Cursor<'_>) {
    // Padding is a few KiB.
    for _ in 0..(1 << 16) {
        let at = cursor.at;
        match cursor.take(4) {
            Some(bytes) if bytes == [0; 4] => {}
            _ => {
                cursor.at = at;
                return;
            }
        }
    }
}

fn compressed(cursor: &mut Cursor<'_>, magic: &[u8], archives: usize) -> Result<Image, String> {
    let cut = |name: &str| format!("it is cut off: its {name} stream has no end");
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd(cursor).ok_or_else(|| cut("zstd"))?;
        return Ok(Image::Whole("zstd"));
    }
    if magic.starts_with(&[0x1f, 0x8b]) {
        return gzip(cursor).map_or_else(
            |why| Err(format!("its gzip stream is damaged: {why}")),
            |()| Ok(Image::Whole("gzip")),
        );
    }
    if magic.starts_with(&[0x02, 0x21, 0x4c, 0x18]) {
        lz4(cursor).ok_or_else(|| cut("lz4"))?;
        return Ok(Image::Whole("lz4"));
    }
    if magic.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        return if ends_with_xz_footer(cursor) {
            Ok(Image::Whole("xz"))
        } else {
            Err(cut("xz"))
        };
    }
    let others: [(&[u8], &str); 4] = [
        (b"BZh", "bzip2"),
        (&[0x5d, 0, 0], "lzma"),
        (&[0x89, b'L', b'Z', b'O'], "lzo"),
        (b"hsqs", "squashfs"),
    ];
    if others.iter().any(|(mark, _)| magic.starts_with(mark)) {
        return Ok(Image::Unknown);
    }
    if archives > 0 {
        return Err("what follows its first archive is neither an archive nor compressed".into());
    }
    Err("it is neither an archive nor compressed".into())
}

/// `newc` members up to `TRAILER!!!`: 110 bytes of hexadecimal fields, the name, the data.
fn cpio(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let cut = || "its archive is cut off".to_string();
    for _ in 0..MOST_STEPS {
        let header = cursor.take(110).ok_or_else(cut)?;
        if !header.starts_with(b"07070") {
            return Err("a member of its archive has no header".into());
        }
        let field = |index: usize| {
            let from = 6 + index * 8;
            header
                .get(from..from + 8)
                .and_then(|text| std::str::from_utf8(text).ok())
                .and_then(|text| u32::from_str_radix(text, 16).ok())
                .ok_or_else(|| "a member of its archive has a broken header".to_string())
        };
        let (size, name_size) = (u64::from(field(6)?), field(11)?);
        if name_size > 4096 {
            return Err("a member of its archive has a name without end".into());
        }
        let name = cursor.take(name_size as usize).ok_or_else(cut)?;
        let pad = |at: u64| at.next_multiple_of(4) - at;
        cursor
            .skip(pad(110 + u64::from(name_size)))
            .ok_or_else(cut)?;
        if name.starts_with(b"TRAILER!!!") {
            return Ok(());
        }
        cursor.skip(size).ok_or_else(cut)?;
        cursor.skip(pad(size)).ok_or_else(cut)?;
    }
    Err("its archive has no end".into())
}

/// RFC 8878: frames of blocks, each block with its length before it.
fn zstd(cursor: &mut Cursor<'_>) -> Option<()> {
    let mut steps = 0;
    while cursor.at < cursor.size {
        let magic = match cursor.little32() {
            Some(magic) => magic,
            // Padding at the end of the file.
            None => return Some(()),
        };
        if (0x184d_2a50..=0x184d_2a5f).contains(&magic) {
            let size = cursor.little32()?;
            cursor.skip(u64::from(size))?;
            continue;
        }
        if magic != 0xfd2f_b528 {
            return Some(());
        }
        let descriptor = *cursor.take(1)?.first()?;
        let single = descriptor & 0x20 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content = match descriptor >> 6 {
            0 => u64::from(single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        cursor.skip(u64::from(!single) + dictionary + content)?;
        loop {
            steps += 1;
            if steps > MOST_STEPS {
                return None;
            }
            let raw = cursor.take(3)?;
            let header = u32::from(raw[0]) | u32::from(raw[1]) << 8 | u32::from(raw[2]) << 16;
            let size = if (header >> 1) & 3 == 1 {
                1
            } else {
                header >> 3
            };
            cursor.skip(u64::from(size))?;
            if header & 1 != 0 {
                break;
            }
        }
        if descriptor & 4 != 0 {
            cursor.skip(4)?;
        }
    }
    Some(())
}

/// The kernel's own lz4 format: blocks with their length, until the file ends.
fn lz4(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.skip(4)?;
    for _ in 0..MOST_STEPS {
        if cursor.at == cursor.size {
            return Some(());
        }
        match cursor.little32() {
            Some(0x184c_2102) => {}
            Some(0) | None => return Some(()),
            Some(size) => cursor.skip(u64::from(size))?,
        }
    }
    None
}

fn ends_with_xz_footer(cursor: &mut Cursor<'_>) -> bool {
    let tail = cursor.size.min(4096);
    cursor.at = cursor.size - tail;
    let bytes = cursor
        .take(usize::try_from(tail).unwrap_or(0))
        .unwrap_or_default();
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    bytes[..end].ends_with(b"YZ")
}

fn gzip(cursor: &mut Cursor<'_>) -> Result<(), String> {
    let mut reader =
        flate2::bufread::GzDecoder::new(std::io::BufReader::with_capacity(256 << 10, cursor));
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => total += count as u64,
            Err(error) => return Err(error.to_string()),
        }
        if total > MOST_UNPACKED {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
