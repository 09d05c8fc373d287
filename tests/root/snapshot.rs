//! A directory tree as facts, a line for each file, to show that something left it as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::run::difference;

/// Every file below a directory (the directory itself is `.`), by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, String>);

impl Snapshot {
    /// Looks at everything below `top`, on its own filesystem and on others mounted there.
    pub(crate) fn of(top: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut first_names = BTreeMap::new();
        for entry in walkdir::WalkDir::new(top).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(top).unwrap();
            let meta = entry.path().symlink_metadata().unwrap();
            let identity = (meta.dev(), meta.ino());
            let first = first_names
                .entry(identity)
                .or_insert_with(|| path.to_owned());
            let link = if first == path {
                String::new()
            } else {
                format!(" = {}", first.display())
            };
            let path = Path::new(".").join(path);
            files.insert(path, describe(entry.path(), &meta) + &link);
        }
        Self(files)
    }

    /// Whether there is such a file, by its path below the top.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(&Path::new(".").join(path))
    }

    /// Fails with the lines that differ.
    #[track_caller]
    pub(crate) fn assert_same(&self, later: &Self) {
        assert!(
            self == later,
            "the tree changed:\n{}",
            difference(&self.text(), &later.text())
        );
    }

    /// The same, and directories may have another time: something was made in one and taken away.
    #[track_caller]
    pub(crate) fn assert_same_but_times(&self, later: &Self) {
        let bare = |snapshot: &Self| -> String {
            let line = |(path, facts): (&PathBuf, &String)| {
                let words: Vec<&str> = facts.split(' ').collect();
                let is_directory = words[0].starts_with('4') && words[0].len() == 5;
                let kept = words.iter().enumerate();
                let kept = kept.filter(|(at, _)| !(is_directory && *at == 2));
                let words: Vec<&str> = kept.map(|(_, word)| *word).collect();
                format!("{}: {}\n", path.display(), words.join(" "))
            };
            snapshot.0.iter().map(line).collect()
        };
        let (one, two) = (bare(self), bare(later));
        assert!(one == two, "the tree changed:\n{}", difference(&one, &two));
    }

    fn text(&self) -> String {
        let line = |(path, facts): (&PathBuf, &String)| format!("{}: {facts}\n", path.display());
        self.0.iter().map(line).collect()
    }
}

fn describe(path: &Path, meta: &fs::Metadata) -> String {
    let kind = meta.file_type();
    #[expect(clippy::filetype_is_file, reason = "a FIFO must not be read")]
    let content = if kind.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if kind.is_file() {
        let hash = blake3::hash(&fs::read(path).unwrap());
        format!("{} bytes {}", meta.len(), &hash.to_hex()[..16])
    } else if kind.is_block_device() || kind.is_char_device() {
        format!("device {:x}", meta.rdev())
    } else {
        String::new()
    };
    format!(
        "{:o} {}:{} {}.{:09} {content} {}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        xattrs(path)
    )
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0_u8; 65536];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names) else {
        return String::new();
    };
    let mut facts = Vec::new();
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0_u8; 65536];
        let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
        let name = String::from_utf8_lossy(name);
        facts.push(format!("{name}={:02x?}", &value[..length]));
    }
    facts.sort();
    facts.join(" ")
}
