//! fstab(5) of a root: which device the system wants where.
//!
//! Pure. The file comes from a broken or hostile disk: lines are bounded in length and number,
//! and a mount point is only ever text here ([`crate::root`] resolves it).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::mountinfo::unescape;
use crate::model::RootPath;

/// More entries than any system has; what follows is reported, not read.
pub const MOST_ENTRIES: usize = 1000;
/// Longer lines than anyone writes; such a line is reported, not read.
pub const LONGEST_LINE: usize = 8192;

/// How fstab names a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// `UUID=`
    Uuid(String),
    /// `LABEL=`
    Label(String),
    /// `PARTUUID=`
    PartUuid(String),
    /// `PARTLABEL=`
    PartLabel(String),
    /// `/dev/…`
    Device(PathBuf),
    /// A directory or file of the system itself: a bind, or an image.
    Path(RootPath),
    /// `host:/export`, `//host/share`, `user@host:`
    Network(String),
    /// `tmpfs`, `proc`, `none`: no device.
    Virtual(String),
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A filesystem on a device.
    Device,
    /// A bind of a part of the tree.
    Bind,
    /// Swap; never switched on.
    Swap,
    /// Needs the network.
    Network,
    /// proc, tmpfs and the like: the live system's business.
    Virtual,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line number, from 1.
    pub line: usize,
    /// The device.
    pub spec: Spec,
    /// Where; text only, may hold `..`.
    pub mount_point: RootPath,
    /// Filesystem type as written.
    pub fs_type: String,
    /// Options, split at commas.
    pub options: Vec<String>,
    /// The sixth field: fsck's pass.
    pub pass: u8,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// A whole fstab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fstab {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// Lines left out.
    pub problems: Vec<Problem>,
}

impl Entry {
    /// Whether the option `name` is there, alone or with a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name) || self.value(name).is_some()
    }

    /// The value of `name=value`; the last one counts.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find_map(|option| {
            option
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
        })
    }

    /// What the entry is for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        const NETWORK: &[&str] = &[
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "ceph",
            "glusterfs",
            "9p",
            "fuse.sshfs",
            "afs",
            "davfs",
            "ncpfs",
            "ocfs2",
            "gfs2",
            "fuse.glusterfs",
            "virtiofs",
        ];
        const VIRTUAL: &[&str] = &[
            "proc",
            "sysfs",
            "tmpfs",
            "devtmpfs",
            "devpts",
            "efivarfs",
            "securityfs",
            "debugfs",
            "cgroup",
            "cgroup2",
            "usbfs",
            "configfs",
            "hugetlbfs",
            "mqueue",
            "binfmt_misc",
            "tracefs",
            "pstore",
            "bpf",
            "ramfs",
            "selinuxfs",
            "overlay",
            "autofs",
            "rpc_pipefs",
        ];
        if self.fs_type == "swap" || self.mount_point.as_bytes() == b"/swap" && self.has("sw") {
            return Purpose::Swap;
        }
        if self.has("bind") || self.has("rbind") {
            return Purpose::Bind;
        }
        if NETWORK.contains(&self.fs_type.as_str())
            || self.has("_netdev")
            || matches!(self.spec, Spec::Network(_))
        {
            return Purpose::Network;
        }
        if VIRTUAL.contains(&self.fs_type.as_str()) || matches!(self.spec, Spec::Virtual(_)) {
            return Purpose::Virtual;
        }
        if matches!(self.spec, Spec::Path(_)) && !self.has("loop") {
            return Purpose::Bind;
        }
        Purpose::Device
    }

    /// How many components the mount point has: mounts are made in this order.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.mount_point.normalized().as_path().components().count()
    }

    /// Whether booting goes on without it: `nofail`, or not mounted at boot at all.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.has("nofail") || self.has("noauto") || self.has("x-systemd.automount")
    }
}

impl Fstab {
    /// The entry for a mount point; of several, the first one counts for `/` (libguestfs
    /// RHEL-90168), as for every other.
    #[must_use]
    pub fn at(&self, mount_point: &str) -> Option<&Entry> {
        let wanted = RootPath::new(mount_point);
        self.entries.iter().find(|entry| {
            entry.purpose() != Purpose::Swap && entry.mount_point.normalized() == wanted
        })
    }
}

/// Reads a whole fstab.
#[must_use]
pub fn parse(text: &[u8]) -> Fstab {
    let mut fstab = Fstab::default();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line_number = index + 1;
        let mut problem = |what| {
            fstab.problems.push(Problem {
                line: line_number,
                what,
            });
        };
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        if line.len() > LONGEST_LINE {
            problem("longer than any line of an fstab");
            continue;
        }
        if fstab.entries.len() == MOST_ENTRIES {
            problem("too many entries, the rest is not read");
            break;
        }
        match entry(line, line_number) {
            Ok(entry) => fstab.entries.push(entry),
            Err(what) => problem(what),
        }
    }
    fstab
}

fn entry(line: &[u8], line_number: usize) -> Result<Entry, &'static str> {
    let mut fields = line
        .split(|byte| byte.is_ascii_whitespace())
        .filter(|field| !field.is_empty());
    let device = fields.next().map(unescape).ok_or("no device")?;
    let mount_point = fields.next().map(unescape).ok_or("no mount point")?;
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let fs_type = fields.next().map(text).ok_or("no type")?;
    let options = fields.next().map(text).unwrap_or_default();
    let pass = fields.nth(1).map(text).unwrap_or_default();
    if device.contains(&0) || mount_point.contains(&0) {
        return Err("a NUL in a name");
    }
    let swap = fs_type == "swap";
    if !swap && mount_point != b"none" && mount_point.first() != Some(&b'/') {
        return Err("the mount point is not an absolute path");
    }
    Ok(Entry {
        line: line_number,
        spec: spec(&device, &fs_type),
        mount_point: RootPath::from_bytes(&mount_point),
        fs_type,
        options: split_options(&options),
        pass: pass.parse().unwrap_or(0),
    })
}

/// Splits at commas outside of double quotes (mount(8)).
fn split_options(text: &str) -> Vec<String> {
    let mut quoted = false;
    text.split(|letter: char| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    })
    .filter(|option| !option.is_empty())
    .map(str::to_string)
    .collect()
}

fn spec(device: &[u8], fs_type: &str) -> Spec {
    let text = String::from_utf8_lossy(device).into_owned();
    let tagged = text.split_once('=').and_then(|(tag, value)| {
        let value = value.trim_matches(['"', '\'']).to_string();
        match tag {
            "UUID" => Some(Spec::Uuid(value)),
            "LABEL" => Some(Spec::Label(value)),
            "PARTUUID" => Some(Spec::PartUuid(value)),
            "PARTLABEL" => Some(Spec::PartLabel(value)),
            _ => None,
        }
    });
    if let Some(spec) = tagged {
        return spec;
    }
    if text.starts_with("//") || fs_type.starts_with("nfs") {
        return Spec::Network(text);
    }
    if device.starts_with(b"/dev/") {
        return Spec::Device(PathBuf::from(OsString::from_vec(device.to_vec())));
    }
    if device.first() == Some(&b'/') {
        return Spec::Path(RootPath::from_bytes(device));
    }
    match text.split_once(':') {
        Some((host, path)) if !host.is_empty() && path.starts_with('/') => Spec::Network(text),
        _ => Spec::Virtual(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_device() {
        let uuid = |text: &str| Spec::Uuid(text.to_string());
        let table: [(&str, Spec, Purpose); 12] = [
            ("UUID=77c1 / ext4", uuid("77c1"), Purpose::Device),
            ("UUID=\"77c1\" / ext4", uuid("77c1"), Purpose::Device),
            (
                "LABEL=a\\040b /x xfs",
                Spec::Label("a b".into()),
                Purpose::Device,
            ),
            (
                "PARTUUID=1-01 /x xfs",
                Spec::PartUuid("1-01".into()),
                Purpose::Device,
            ),
            (
                "PARTLABEL=esp /x vfat",
                Spec::PartLabel("esp".into()),
                Purpose::Device,
            ),
            (
                "/dev/vg/lv /x xfs",
                Spec::Device("/dev/vg/lv".into()),
                Purpose::Device,
            ),
            ("UUID=5 none swap sw", uuid("5"), Purpose::Swap),
            ("UUID=5 swap swap sw", uuid("5"), Purpose::Swap),
            (
                "/a /b none bind",
                Spec::Path(RootPath::new("/a")),
                Purpose::Bind,
            ),
            (
                "srv:/e /n nfs4 x",
                Spec::Network("srv:/e".into()),
                Purpose::Network,
            ),
            (
                "//srv/e /n cifs x",
                Spec::Network("//srv/e".into()),
                Purpose::Network,
            ),
            (
                "tmpfs /tmp tmpfs x",
                Spec::Virtual("tmpfs".into()),
                Purpose::Virtual,
            ),
        ];
        for (line, spec, purpose) in table {
            let fstab = parse(line.as_bytes());
            let entry = fstab.entries.first().unwrap_or_else(|| panic!("{line}"));
            assert_eq!((&entry.spec, entry.purpose()), (&spec, purpose), "{line}");
        }
    }

    #[test]
    fn options_have_values_and_the_first_root_counts() {
        let fstab = parse(
            b"# x\n\n\t UUID=1 / btrfs subvol=@,nofail,subvol=@b,a=\"b,c\" 0 1\nUUID=2 / ext4\n",
        );
        let root = fstab.at("/").unwrap();
        assert_eq!(
            (root.line, root.value("subvol"), root.pass),
            (3, Some("@b"), 1)
        );
        assert!(root.has("nofail") && root.has("subvol") && !root.has("sub"));
        assert_eq!(root.options[3], "a=\"b,c\"");
        assert!(root.is_optional());
    }

    #[test]
    fn a_hostile_file_is_bounded_and_named() {
        let mut text = vec![b'x'; 10 << 20];
        text.extend(b"\nUUID=1 ../../etc ext4\nUUID=1\nUUID=1 /\x1b[2J/../../x ext4\n");
        for _ in 0..1500 {
            text.extend(b"UUID=1 /x ext4\n");
        }
        let fstab = parse(&text);
        assert_eq!(fstab.entries.len(), MOST_ENTRIES);
        let lines: Vec<usize> = fstab.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [1, 2, 3, 4 + MOST_ENTRIES]);
        assert_eq!(
            fstab.entries[0].depth(),
            2,
            "dots are folded for the order only"
        );
    }
}
