//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)): what is mounted where.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount id.
    pub id: u32,
    /// Id of the mount it stands on.
    pub parent: u32,
    /// `st_dev` of its files, major and minor; for btrfs not that of a block device.
    pub device: (u32, u32),
    /// The directory of the filesystem that is its root.
    pub root: PathBuf,
    /// Where it is mounted, seen from the reader's root.
    pub mount_point: PathBuf,
    /// Options of the mount: `ro`, `nosuid`.
    pub options: String,
    /// `shared:2`, `master:1`: the optional fields.
    pub propagation: Vec<String>,
    /// Filesystem type.
    pub fs_type: String,
    /// What it was mounted from: a device's path, or a word.
    pub source: PathBuf,
    /// Options of the filesystem.
    pub super_options: String,
}

/// Reads the whole table. A line that makes no sense is left out.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = fields.next()?;
    let colon = device.iter().position(|byte| *byte == b':')?;
    let device = (number(&device[..colon])?, number(&device[colon + 1..])?);
    let root = path(fields.next()?);
    let mount_point = path(fields.next()?);
    let options = text(fields.next()?);
    let mut propagation = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => propagation.push(text(field)),
        }
    }
    Some(Mount {
        id,
        parent,
        device,
        root,
        mount_point,
        options,
        propagation,
        fs_type: text(fields.next()?),
        source: path(fields.next()?),
        super_options: fields.next().map(text).unwrap_or_default(),
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

/// Takes back `\040` and its like: a backslash and three octal digits. fstab(5) has the same.
#[must_use]
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..] if *first == b'\\' => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = more;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_line_with_and_without_optional_fields() {
        let table = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n\
            24 1 254:0 / / rw - ext4 /dev/vda rw\n\
            9 1 0:5 / /x rw - fuse";
        let mounts = parse(table);
        assert_eq!(mounts.len(), 2, "the cut line is left out");
        assert_eq!(mounts[0].mount_point, Path::new("/mnt 2"));
        assert_eq!(mounts[0].propagation, ["shared:1", "master:2"]);
        assert_eq!(mounts[0].fs_type, "ext3");
        assert_eq!(mounts[1].device, (254, 0));
        assert_eq!(mounts[1].source, Path::new("/dev/vda"));
    }

    #[test]
    fn octal_escapes_and_what_only_looks_like_one() {
        let table: [(&[u8], &[u8]); 5] = [
            (b"a\\040b", b"a b"),
            (b"\\134", b"\\"),
            (b"\\04", b"\\04"),
            (b"\\999\\", b"\\999\\"),
            (b"\\377", b"\xff"),
        ];
        for (from, to) in table {
            assert_eq!(unescape(from), to);
        }
    }
}
