//! The package manager's own state: interrupted, locked, or with a broken database.

use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// dpkg's status file of a large system is 20 MiB.
const LIMIT: usize = 256 << 20;
const MOST_NAMES: usize = 8;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageState {
    /// Packages that are neither installed nor removed: name and state.
    pub halfway: Vec<(String, String)>,
    /// How many there are.
    pub halfway_count: usize,
    /// Packages that want to be installed again (`reinst-required`).
    pub reinstall: Vec<String>,
    /// Files in /var/lib/dpkg/updates: dpkg did not come to fold them into the status file.
    pub updates: usize,
    /// What is wrong with the database: the file, and why.
    pub broken: Vec<(RootPath, String)>,
    /// A lock file that is there only while the package manager runs.
    pub lock: Option<RootPath>,
    /// Packages that are installed.
    pub installed: usize,
    /// The hostname says which packages are damaged: entries of pacman's database without `desc`.
    pub damaged: Vec<String>,
}

/// Looks at whichever databases are there.
#[must_use]
pub fn look(tree: &dyn Tree) -> PackageState {
    let mut state = PackageState::default();
    if is_dir(tree, "/var/lib/dpkg") {
        dpkg(tree, &mut state);
    }
    rpm(tree, &mut state);
    if is_dir(tree, "/var/lib/pacman/local") {
        pacman(tree, &mut state);
    }
    apk(tree, &mut state);
    state
}

fn is_dir(tree: &dyn Tree, path: &str) -> bool {
    tree.stat(&RootPath::new(path))
        .is_ok_and(|meta| meta.kind == Kind::Directory)
}

fn dpkg(tree: &dyn Tree, state: &mut PackageState) {
    let path = RootPath::new("/var/lib/dpkg/status");
    let has_info = tree
        .list(&RootPath::new("/var/lib/dpkg/info"))
        .is_ok_and(|names| {
            names
                .iter()
                .any(|name| name.to_string_lossy().ends_with(".list"))
        });
    match root::read(tree, &path, LIMIT) {
        Ok(bytes) => {
            if bytes.contains(&0) {
                state.broken.push((path, "it holds NUL bytes".into()));
            } else if has_info && !bytes.windows(9).any(|part| part == b"Package: ") {
                state.broken.push((path, "it names no package".into()));
            } else {
                status(&bytes, state);
                if let Some(line) = torn(&bytes) {
                    state
                        .broken
                        .push((path, format!("line {line} is no whole field")));
                }
            }
        }
        Err(error) if has_info => state.broken.push((path, error.to_string())),
        Err(_) => {}
    }
    let updates = tree
        .list(&RootPath::new("/var/lib/dpkg/updates"))
        .unwrap_or_default();
    state.updates = updates.iter().filter(|name| *name != "tmp.i").count();
    let info = RootPath::new("/var/lib/dpkg/info");
    let is_there = tree.stat(&info);
    if state.installed > 0 && is_there.is_err() {
        state.broken.push((info, "it is missing".into()));
    }
}

/// deb822: `Field: value`, or a line that begins with a blank; dpkg refuses a last line without
/// its end.
fn torn(bytes: &[u8]) -> Option<usize> {
    if bytes.last().is_some_and(|byte| *byte != b'\n') {
        return Some(bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
    }
    bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .find_map(|(at, line)| {
            let good = line.is_empty()
                || line.starts_with(b" ")
                || line.starts_with(b"\t")
                || line.contains(&b':');
            (!good).then_some(at + 1)
        })
}

fn status(bytes: &[u8], state: &mut PackageState) {
    let mut name = String::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(value) = line.strip_prefix(b"Package: ") {
            name = String::from_utf8_lossy(value.trim_ascii()).into_owned();
        }
        let Some(value) = line.strip_prefix(b"Status: ") else {
            continue;
        };
        let value = String::from_utf8_lossy(value);
        let mut words = value.split_whitespace();
        let (_, flag, now) = (
            words.next(),
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        if flag.contains("reinst") && state.reinstall.len() < MOST_NAMES {
            state.reinstall.push(name.clone());
        }
        match now {
            "installed" => state.installed += 1,
            "not-installed" | "config-files" => {}
            _ => {
                state.halfway_count += 1;
                if state.halfway.len() < MOST_NAMES {
                    state.halfway.push((name.clone(), now.to_string()));
                }
            }
        }
    }
}

fn rpm(tree: &dyn Tree, state: &mut PackageState) {
    for path in [
        "/var/lib/rpm/rpmdb.sqlite",
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    ] {
        let path = RootPath::new(path);
        let Ok(file) = tree.open(&path) else {
            continue;
        };
        let Ok(meta) = file.meta() else {
            continue;
        };
        let mut head = [0; 100];
        let count = file.read_at(&mut head, 0).unwrap_or(0);
        let why = sqlite(&head[..count], meta.size);
        // The write-ahead log may hold what the file lacks.
        let log = RootPath::from_bytes(&[path.as_bytes(), b"-wal"].concat());
        let has_log = tree.stat(&log).is_ok_and(|meta| meta.size > 0);
        if let Some(why) = why.filter(|_| !(has_log && meta.size == 0)) {
            state.broken.push((path, why));
        }
        return;
    }
    // The magic number of each format, and where it is.
    for (path, magic, at, what) in [
        ("/usr/lib/sysimage/rpm/Packages.db", b"RpmP", 0, "ndb"),
        ("/var/lib/rpm/Packages.db", b"RpmP", 0, "ndb"),
        (
            "/var/lib/rpm/Packages",
            b"\x61\x15\x06\0",
            12,
            "Berkeley DB",
        ),
    ] {
        let path = RootPath::new(path);
        let Ok(file) = tree.open(&path) else {
            continue;
        };
        let mut found = [0; 4];
        let count = file.read_at(&mut found, at).unwrap_or(0);
        let is_file = file.meta().is_ok_and(|meta| meta.kind == Kind::File);
        if is_file && found[..count] != *magic {
            state
                .broken
                .push((path, format!("it is no {what} database")));
        }
        return;
    }
    let rpm = ["/usr/bin/rpm", "/bin/rpm"]
        .iter()
        .any(|path| root::is_file(tree, &RootPath::new(path)));
    let others = ["/var/lib/dpkg/status", "/usr/share/rpm/rpmdb.sqlite"];
    let none = others
        .iter()
        .all(|path| tree.stat(&RootPath::new(path)).is_err());
    if rpm && none {
        let path = RootPath::new("/var/lib/rpm/rpmdb.sqlite");
        state.broken.push((path, "it is missing".into()));
    }
}

/// SQLite's header: page size at 16, pages at 28, valid where the two change counters agree.
fn sqlite(head: &[u8], size: u64) -> Option<String> {
    if size == 0 {
        return Some("it is empty".into());
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return Some("it is no SQLite database".into());
    }
    let word = |at: usize| {
        head.get(at..at + 4)
            .and_then(|raw| raw.try_into().ok())
            .map(u32::from_be_bytes)
    };
    let raw: [u8; 2] = head.get(16..18)?.try_into().ok()?;
    let page = match u16::from_be_bytes(raw) {
        1 => 65_536,
        page => u64::from(page),
    };
    let pages = u64::from(word(28)?);
    let valid = word(24) == word(92);
    (valid && pages * page > size)
        .then(|| format!("it is cut off: {size} bytes of {}", pages * page))
}

fn pacman(tree: &dyn Tree, state: &mut PackageState) {
    let lock = RootPath::new("/var/lib/pacman/db.lck");
    state.lock = tree.lstat(&lock).is_ok().then_some(lock);
    let local = RootPath::new("/var/lib/pacman/local");
    for name in tree.list(&local).unwrap_or_default() {
        let entry = local.join(&name);
        if !tree
            .lstat(&entry)
            .is_ok_and(|meta| meta.kind == Kind::Directory)
        {
            continue;
        }
        let desc = tree.stat(&entry.join("desc"));
        if desc.is_ok_and(|meta| meta.kind == Kind::File && meta.size > 0) {
            state.installed += 1;
        } else if state.damaged.len() < MOST_NAMES {
            state.damaged.push(name.to_string_lossy().into_owned());
        }
    }
    if !state.damaged.is_empty() {
        let what = format!(
            "entries without a description: {}",
            state.damaged.join(", ")
        );
        state.broken.push((local, what));
    }
}

fn apk(tree: &dyn Tree, state: &mut PackageState) {
    for path in ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"] {
        let path = RootPath::new(path);
        if let Ok(meta) = tree.stat(&path) {
            if meta.kind == Kind::File && meta.size == 0 {
                state.broken.push((path, "it is empty".into()));
            }
            return;
        }
    }
    let apk = RootPath::new("/sbin/apk");
    if root::is_file(tree, &apk) {
        state.broken.push((
            RootPath::new("/lib/apk/db/installed"),
            "it is missing".into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn dpkg(status: &str) -> PackageState {
        let tree = Mem::new()
            .with_file("/var/lib/dpkg/status", status)
            .with_file("/var/lib/dpkg/info/a.list", "/.\n")
            .with_file("/var/lib/dpkg/updates/0000", "x");
        look(&tree)
    }

    #[test]
    fn halfway_packages_are_named() {
        let state = dpkg(
            "Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: install ok half-configured\n\nPackage: c\nStatus: install reinstreq half-installed\n",
        );
        assert_eq!(
            (state.installed, state.halfway_count, state.updates),
            (1, 2, 1)
        );
        assert_eq!(state.reinstall, ["c"]);
        assert!(state.broken.is_empty());
    }

    #[test]
    fn a_torn_status_file_is_broken() {
        assert_eq!(dpkg("").broken.len(), 1);
        assert_eq!(dpkg("Package: a\n\0\0\0").broken.len(), 1);
        assert_eq!(
            dpkg("Package: a\nStatus: install ok installed\nDescri")
                .broken
                .len(),
            1
        );
    }

    #[test]
    fn other_families() {
        let mut head = b"SQLite format 3\0\x10\x00".to_vec();
        head.resize(100, 0);
        head[31] = 3;
        let tree = Mem::new()
            .with_file("/var/lib/rpm/rpmdb.sqlite", head)
            .with_file("/var/lib/pacman/db.lck", "")
            .with_dir("/var/lib/pacman/local/x-1-1");
        let state = look(&tree);
        assert!(state.broken[0].1.contains("cut off"));
        assert_eq!(state.damaged, ["x-1-1"]);
        assert!(state.lock.is_some());
        let ndb = |head: &str| {
            let tree = Mem::new().with_file("/usr/lib/sysimage/rpm/Packages.db", head);
            look(&tree).broken.len()
        };
        assert_eq!((ndb("RpmP\0\0\0\0"), ndb("RpmQ"), ndb("")), (0, 1, 1));
    }
}
