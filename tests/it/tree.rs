//! A tree of files as data, to compare; and the jail with everything in it that makes archivers
//! stumble.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// What a tree holds, by path relative to its top; `.` is left out, its mode being the umask's
/// after some unpackers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    entries: BTreeMap<Vec<u8>, Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Kind, mode, and content or target.
    what: String,
    /// The other names of the file.
    names: Vec<Vec<u8>>,
    /// `user.*` attributes.
    attributes: Vec<(String, Vec<u8>)>,
}

impl Tree {
    pub(crate) fn read(top: &Path) -> Self {
        let mut entries = BTreeMap::new();
        let mut by_inode: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        let mut inodes = Vec::new();
        for found in walkdir::WalkDir::new(top).min_depth(1) {
            let found = found.unwrap();
            let name = found.path().strip_prefix(top).unwrap();
            let name = name.as_os_str().as_bytes().to_vec();
            let meta = fs::symlink_metadata(found.path()).unwrap();
            if meta.is_file() {
                by_inode.entry(meta.ino()).or_default().push(name.clone());
                inodes.push((name.clone(), meta.ino()));
            }
            let entry = Entry {
                what: describe(found.path(), &meta),
                names: Vec::new(),
                attributes: attributes(found.path(), &meta),
            };
            entries.insert(name, entry);
        }
        for (name, inode) in inodes {
            let mut names = by_inode[&inode].clone();
            names.sort();
            entries.get_mut(&name).unwrap().names = names;
        }
        Self { entries }
    }

    /// Takes out what must be there.
    pub(crate) fn forget(&mut self, name: &[u8]) {
        let gone = self.entries.remove(name);
        assert!(gone.is_some(), "{}", String::from_utf8_lossy(name));
    }

    pub(crate) fn without_attributes(&mut self) {
        for entry in self.entries.values_mut() {
            entry.attributes.clear();
        }
    }

    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self) {
        let lines = |tree: &Self| {
            let line = |(name, entry): (&Vec<u8>, &Entry)| {
                format!("{:?} {entry:?}\n", OsStr::from_bytes(name))
            };
            tree.entries.iter().map(line).collect::<String>()
        };
        let (expected, found) = (lines(self), lines(other));
        assert!(
            expected == found,
            "{}",
            crate::support::run::difference(&expected, &found)
        );
    }
}

fn describe(path: &Path, meta: &fs::Metadata) -> String {
    let mode = meta.mode() & 0o7777;
    let kind = meta.file_type();
    if kind.is_symlink() {
        return format!("link {:?}", fs::read_link(path).unwrap());
    }
    if kind.is_dir() {
        return format!("directory {mode:o}");
    }
    if meta.is_file() {
        let sum = blake3::hash(&fs::read(path).unwrap());
        return format!("file {mode:o} {} {sum}", meta.mtime());
    }
    let word = if kind.is_fifo() { "fifo" } else { "other" };
    format!("{word} {mode:o} {}", meta.rdev())
}

fn attributes(path: &Path, meta: &fs::Metadata) -> Vec<(String, Vec<u8>)> {
    if meta.file_type().is_symlink() {
        return Vec::new();
    }
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0) {
        if name.starts_with(b"user.") {
            let name = String::from_utf8_lossy(name).into_owned();
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name.as_str(), &mut value[..]).unwrap();
            value.truncate(length);
            found.push((name, value));
        }
    }
    found.sort();
    found
}

/// The names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Makes a jail of the caller's: names with a newline, without UTF-8, as long as can be and with
/// a quote, files with several names, a FIFO and a socket, set-id and sticky bits, attributes, an
/// empty file, one of more than a buffer's length, and a manifest.
pub(crate) fn hostile_jail(top: &Path) {
    for directory in ["bin", "dev", "etc", "run", "tmp", "usr/lib", ".newroot"] {
        fs::create_dir_all(top.join(directory)).unwrap();
    }
    let write = |name: &[u8], content: &[u8], mode: u32| {
        let path = top.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        // Not "now": a jail's files have their sources' times.
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(500);
        let file = fs::File::open(&path).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(old))
            .unwrap();
    };
    let big: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    write(b"bin/tool", &big, 0o755);
    write(b"bin/setuid", b"#!/bin/tool\n", 0o4750);
    write(b"etc/new\nline", b"1", 0o644);
    write(b"etc/not\xff\xfeutf8", b"22", 0o600);
    write(b"etc/it's $(true) `true`", b"333", 0o640);
    write(b"TRAILER!!!", b"no end", 0o644);
    write(b"usr/lib/empty", b"", 0o644);
    let long = "n".repeat(255);
    write(format!("etc/{long}").as_bytes(), b"long", 0o644);
    let deep = format!("usr/{long}/{long}/{long}/file");
    write(deep.as_bytes(), b"deep", 0o644);
    write(b".newroot/manifest.json", MANIFEST.as_bytes(), 0o644);
    // One of the names in a directory that is listed before, one after.
    fs::hard_link(top.join("bin/tool"), top.join("usr/lib/tool")).unwrap();
    fs::hard_link(top.join("bin/tool"), top.join("a-tool")).unwrap();
    fs::hard_link(top.join("usr/lib/empty"), top.join("usr/lib/empty2")).unwrap();
    symlink("tool", top.join("bin/sh")).unwrap();
    symlink("/etc/passwd", top.join("etc/absolute")).unwrap();
    symlink(format!("../{long}/{long}"), top.join("etc/longlink")).unwrap();
    fs::set_permissions(top.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(top, Permissions::from_mode(0o755)).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o620);
    rustix::fs::mknodat(rustix::fs::CWD, top.join("run/fifo"), fifo, mode, 0).unwrap();
    drop(UnixListener::bind(top.join("run/socket")).unwrap());
    for (name, attribute) in [("etc/new\nline", "user.one"), ("etc", "user.dir")] {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(top.join(name), attribute, b"a\0=\nb", flags).unwrap();
    }
}

const MANIFEST: &str = r#"{"version":1,"programs":["/bin/tool"],"environment":{"COLOR":"blue"},
"command":["/bin/tool","-x"]}"#;
