//! Where programs and libraries lie, cut into pieces of work.

use std::collections::BTreeSet;

use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// Names in one piece of work: small enough that no worker is left alone with a big one.
const PIECE: usize = 48;
/// Numbers of this many pieces fit into the smallest pipe there is, one page.
pub(super) const MOST_PIECES: usize = 1000;

/// Directories of PATH.
const PATH: &[&str] = &[
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/games",
];
/// Looked through to the bottom.
const DEEP: &[&str] = &[
    "/usr/lib",
    "/lib",
    "/usr/lib64",
    "/lib64",
    "/usr/lib32",
    "/lib32",
    "/usr/libx32",
    "/libx32",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/libexec",
    "/opt",
];
/// Where nothing lies that the loader starts: modules, firmware, separate debug information.
const NOT: &[&str] = &[
    "/usr/lib/modules",
    "/lib/modules",
    "/usr/lib/firmware",
    "/lib/firmware",
    "/usr/lib/debug",
    "/usr/lib/locale",
];
/// Directories that loaders search without being told, on one distribution or another.
const SEARCHED: &[&str] = &[
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/lib32",
    "/usr/lib32",
    "/libx32",
    "/usr/libx32",
    "/usr/local/lib",
    "/usr/local/lib64",
];

/// A directory's names `from..to`, with what is below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Index into [`Places::directories`].
    pub(super) directory: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// One directory whose names were read.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: RootPath,
    pub(super) names: Vec<std::ffi::OsString>,
    /// Whether to go down into what is in it.
    pub(super) deep: bool,
}

/// All work there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub(super) directories: Vec<Directory>,
    pub(super) pieces: Vec<Piece>,
    /// Canonical names of the directories that are in PATH.
    pub(super) path: BTreeSet<RootPath>,
    /// Canonical names of the directories that the loader searches.
    pub(super) searched: BTreeSet<RootPath>,
    /// Never gone into; canonical names.
    pub(super) not: BTreeSet<RootPath>,
}

/// Reads the directories and cuts the work.
pub(super) fn find(tree: &dyn Tree) -> Places {
    let real = |path: &str| real_directory(tree, &RootPath::new(path));
    let mut places = Places {
        path: PATH.iter().filter_map(|path| real(path)).collect(),
        searched: search_directories(tree),
        not: NOT.iter().filter_map(|path| real(path)).collect(),
        ..Places::default()
    };
    let mut seen = BTreeSet::new();
    let path = PATH.iter().map(|path| (path, false));
    for (path, deep) in path.chain(DEEP.iter().map(|path| (path, true))) {
        if let Some(path) = real(path) {
            places.add(tree, path, deep, &mut seen);
        }
    }
    // What the loader searches holds most of the libraries: each is work of its own.
    for path in places.searched.clone() {
        let known = DEEP
            .iter()
            .any(|base| path.starts_with(&RootPath::new(base)));
        places.add(tree, path, known, &mut seen);
    }
    places.cut();
    places
}

impl Places {
    fn add(&mut self, tree: &dyn Tree, path: RootPath, deep: bool, seen: &mut BTreeSet<RootPath>) {
        if !seen.insert(path.clone())
            || self.not.contains(&path)
            || self.directories.len() >= MOST_PIECES / 2
        {
            return;
        }
        let names = tree.list(&path).unwrap_or_default();
        self.directories.push(Directory { path, names, deep });
    }

    fn cut(&mut self) {
        let names: usize = self.directories.iter().map(|it| it.names.len()).sum();
        let parts = MOST_PIECES.saturating_sub(self.directories.len()).max(1);
        let size = PIECE.max(names.div_ceil(parts));
        for (directory, it) in self.directories.iter().enumerate() {
            let starts = (0..it.names.len()).step_by(size);
            self.pieces.extend(starts.map(|from| Piece {
                directory,
                from,
                to: (from + size).min(it.names.len()),
            }));
        }
        self.pieces.truncate(MOST_PIECES);
    }

    /// Whether `path` is work of its own, and not to be gone into from above.
    pub(super) fn is_own_work(&self, path: &RootPath) -> bool {
        self.not.contains(path) || self.searched.contains(path) || self.path.contains(path)
    }
}

/// The directories that the loader searches: the usual ones, the multiarch ones of Debian, and
/// what ld.so.conf names. Canonical.
#[must_use]
pub fn search_directories(tree: &dyn Tree) -> BTreeSet<RootPath> {
    let mut found: Vec<RootPath> = SEARCHED.iter().map(RootPath::new).collect();
    for base in ["/lib", "/usr/lib", "/usr/local/lib"] {
        let base = RootPath::new(base);
        let names = tree.list(&base).unwrap_or_default();
        let multiarch = names.iter().filter(|name| {
            let name = name.to_string_lossy();
            name.contains("-linux-gnu") || name.contains("-linux-musl")
        });
        found.extend(multiarch.map(|name| base.join(name)));
    }
    let mut pending = vec![RootPath::new("/etc/ld.so.conf")];
    let mut read = BTreeSet::new();
    while let Some(file) = pending.pop() {
        if read.len() < 64 && read.insert(file.clone()) {
            conf(tree, &file, &mut found, &mut pending);
        }
    }
    found
        .iter()
        .filter_map(|path| real_directory(tree, path))
        .collect()
}

/// ldconfig(8): a directory a line, `#` starts a comment, `include PATTERN`.
fn conf(
    tree: &dyn Tree,
    file: &RootPath,
    directories: &mut Vec<RootPath>,
    pending: &mut Vec<RootPath>,
) {
    const LIMIT: usize = 1 << 20;
    let text = root::read(tree, file, LIMIT).unwrap_or_default();
    for line in text.split(|byte| *byte == b'\n').take(1000) {
        let line = String::from_utf8_lossy(line);
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            let pattern = pattern.trim();
            let pattern = match pattern.strip_prefix('/') {
                Some(_) => RootPath::new(pattern),
                None => RootPath::new("/etc").join(pattern),
            };
            included(tree, &pattern, pending);
        } else if line.starts_with('/') && directories.len() < 1000 {
            directories.push(RootPath::new(line));
        }
    }
}

/// Only the form that everybody uses: `DIRECTORY/*.conf`.
fn included(tree: &dyn Tree, pattern: &RootPath, pending: &mut Vec<RootPath>) {
    let Some(name) = pattern.file_name().map(|name| name.to_string_lossy()) else {
        return;
    };
    let Some(ending) = name.strip_prefix('*') else {
        pending.push(pattern.clone());
        return;
    };
    let directory = pattern.parent();
    for name in tree.list(&directory).unwrap_or_default() {
        if name.to_string_lossy().ends_with(ending) {
            pending.push(directory.join(name));
        }
    }
}

fn real_directory(tree: &dyn Tree, path: &RootPath) -> Option<RootPath> {
    let trail = root::resolve(tree, path).ok()?;
    (trail.meta.kind == Kind::Directory).then_some(trail.real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn a_merged_usr_is_one_place_and_conf_is_followed() {
        let tree = Mem::new()
            .with_link("/lib", "usr/lib")
            .with_link("/bin", "usr/bin")
            .with_file("/usr/bin/a", "x")
            .with_file("/usr/lib/x86_64-linux-gnu/libc.so.6", "x")
            .with_file("/opt/x/lib/liby.so", "x")
            .with_file("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n")
            .with_file("/etc/ld.so.conf.d/x.conf", "# c\n/opt/x/lib\n/not/there\n")
            .with_file("/etc/ld.so.conf.d/loop.conf", "include /etc/ld.so.conf\n")
            .with_dir("/usr/lib/modules/6.1");
        let places = find(&tree);
        let searched: Vec<String> = places.searched.iter().map(ToString::to_string).collect();
        assert_eq!(
            searched,
            ["/opt/x/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu"]
        );
        let paths: Vec<String> = places
            .directories
            .iter()
            .map(|it| it.path.to_string())
            .collect();
        assert_eq!(paths.iter().filter(|path| path.ends_with("bin")).count(), 1);
        assert!(!paths.iter().any(|path| path.contains("modules")));
        assert!(places.is_own_work(&RootPath::new("/usr/lib/modules")));
    }
}
