//! Mounts as plain data: flags of a mount, and the lines of `/proc/PID/mountinfo`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What a mount forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a mount flag of its own"
)]
pub struct MountFlags {
    /// `ro`
    pub read_only: bool,
    /// `nosuid`
    pub no_suid: bool,
    /// `nodev`
    pub no_dev: bool,
    /// `noexec`
    pub no_exec: bool,
}

impl MountFlags {
    /// `nosuid,nodev,noexec`: for a filesystem that holds no programs.
    pub const INERT: Self = Self {
        read_only: false,
        no_suid: true,
        no_dev: true,
        no_exec: true,
    };

    /// The same, and read-only.
    #[must_use]
    pub const fn read_only(self) -> Self {
        Self {
            read_only: true,
            ..self
        }
    }
}

impl fmt::Display for MountFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = [
            (self.read_only, "ro"),
            (self.no_suid, "nosuid"),
            (self.no_dev, "nodev"),
            (self.no_exec, "noexec"),
        ];
        let words: Vec<&str> = table
            .into_iter()
            .filter_map(|(set, word)| set.then_some(word))
            .collect();
        f.write_str(&words.join(","))
    }
}

/// One line of mountinfo (proc(5)), the fields that are asked for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine {
    /// The mount's number.
    pub id: u64,
    /// The number of the mount it is on.
    pub parent: u64,
    /// `st_dev` of its files, packed as the kernel packs it.
    pub device: u64,
    /// What of its filesystem it shows.
    pub inside: PathBuf,
    /// Where it is, seen from the reader's root.
    pub point: PathBuf,
    /// The peer group that mounts and unmounts on it go to.
    pub shared: Option<u64>,
    /// The peer group that mounts and unmounts come from.
    pub master: Option<u64>,
    /// The type of its filesystem.
    pub fstype: String,
    /// Its source as it was given: `/dev/sda2`, `tmpfs`.
    pub source: PathBuf,
}

/// Reads mountinfo. Lines without the shape of proc(5) are skipped.
#[must_use]
pub fn parse_mountinfo(bytes: &[u8]) -> Vec<MountLine> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(mount_line)
        .collect()
}

fn mount_line(line: &[u8]) -> Option<MountLine> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = device(fields.next()?)?;
    let path = |field| PathBuf::from(OsString::from_vec(unescape_octal(field)));
    let inside = path(fields.next()?);
    let point = path(fields.next()?);
    let (mut shared, mut master) = (None, None);
    for field in fields.by_ref().take_while(|field| *field != b"-") {
        let group = |name: &[u8]| field.strip_prefix(name).and_then(number);
        shared = shared.or_else(|| group(b"shared:"));
        master = master.or_else(|| group(b"master:"));
    }
    let fstype = fields.next()?;
    Some(MountLine {
        id,
        parent,
        device,
        inside,
        point,
        shared,
        master,
        fstype: String::from_utf8_lossy(fstype).into_owned(),
        source: fields.next().map(path).unwrap_or_default(),
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn device(field: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(pack_device(major.parse().ok()?, minor.parse().ok()?))
}

/// `st_dev` as glibc's makedev(3) packs it.
#[must_use]
pub fn pack_device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    ((major & 0xffff_f000) << 32)
        | ((major & 0xfff) << 8)
        | ((minor & 0xffff_ff00) << 12)
        | (minor & 0xff)
}

/// `\OOO` is the byte with this octal number: so the kernel's mount tables write blank, tab, newline
/// and backslash, and mtree(5) every byte that is not plain.
#[must_use]
pub fn unescape_octal(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 8).ok()
        });
        match digits {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &after[3..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_what_is_no_line_is_skipped() {
        let text = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw\nnonsense\n\n25 24 0:23 / /x rw - tmpfs tmpfs rw\n";
        let lines = parse_mountinfo(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].point, PathBuf::from("/mnt 2"));
        assert_eq!((lines[0].id, lines[0].parent), (36, 35));
        assert_eq!(lines[0].fstype, "ext3");
        assert_eq!(lines[0].inside, PathBuf::from("/mnt1"));
        assert_eq!(lines[0].source, PathBuf::from("/dev/root"));
        assert_eq!(lines[1].device, pack_device(0, 23));
        let groups = |line: &MountLine| (line.shared, line.master);
        assert_eq!(groups(&lines[0]), (None, Some(1)));
        assert_eq!(groups(&lines[1]), (None, None));
        let text = b"1 2 0:3 / / rw shared:7 master:9 unbindable - tmpfs t rw shared:8\n";
        assert_eq!(groups(&parse_mountinfo(text)[0]), (Some(7), Some(9)));
    }

    #[test]
    fn devices_are_packed_as_stat_gives_them() {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata("/dev/null").unwrap();
        assert_eq!(pack_device(1, 3), meta.rdev());
    }
}
