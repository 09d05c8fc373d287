//! The bones of a root: the directories and links that everything else stands on.

use std::path::PathBuf;

use crate::model::{Kind, Meta, RootPath};
use crate::root::{self, Tree};

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is {
    /// Nothing.
    Absent,
    /// A link, and what stands at its end.
    Link(PathBuf, Option<Kind>),
    /// Something of its own.
    Thing(Kind),
    /// It cannot be looked at: the errno.
    Unreadable(i32),
}

impl Is {
    /// What a path that follows links ends at.
    #[must_use]
    pub fn end(&self) -> Option<Kind> {
        match self {
            Self::Link(_, end) => *end,
            Self::Thing(kind) => Some(*kind),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}

/// Permissions of a file or directory that matter to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The path.
    pub path: RootPath,
    /// What stands there, links followed.
    pub meta: Meta,
}

/// The layout of a root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// /bin, /sbin, /lib, /lib64, in this order; those of the merged /usr.
    pub merged: Vec<(&'static str, Is)>,
    /// Names in /usr that [`Layout::merged`] would lead to.
    pub in_usr: Vec<&'static str>,
    /// /usr is there and has nothing in it.
    pub usr_empty: bool,
    /// Directories without which nothing boots.
    pub directories: Vec<(&'static str, Is)>,
    /// /bin/sh.
    pub shell: Option<Is>,
    /// Whether /bin/sh leads to a regular file that may be executed.
    pub shell_runs: bool,
    /// The init programs that are there, links followed to a file.
    pub inits: Vec<&'static str>,
    /// An init whose link leads nowhere.
    pub broken_inits: Vec<(&'static str, PathBuf)>,
    /// systemd starts it.
    pub systemd: bool,
    /// Permissions.
    pub modes: Vec<Mode>,
    /// Versions below /lib/modules: a kernel was installed once.
    pub modules: Vec<String>,
}

const MERGED: &[&str] = &["/bin", "/sbin", "/lib", "/lib64"];
const DIRECTORIES: &[&str] = &[
    "/dev", "/proc", "/sys", "/run", "/tmp", "/var", "/etc", "/root",
];
const INITS: &[&str] = &[
    "/sbin/init",
    "/usr/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
    "/usr/bin/init",
    "/sbin/openrc-init",
    "/init",
];
const MODES: &[&str] = &[
    "/",
    "/usr",
    "/etc",
    "/var",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/lib",
    "/lib64",
    "/bin",
    "/tmp",
    "/var/tmp",
    "/root",
    "/dev/shm",
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/usr/bin/sudo",
    "/usr/bin/su",
    "/bin/su",
    "/usr/bin/passwd",
    "/usr/lib/x86_64-linux-gnu",
    "/var/empty",
    "/etc/ssh",
];

/// Looks at the layout.
#[must_use]
pub fn look(tree: &dyn Tree) -> Layout {
    let usr = tree.list(&RootPath::new("/usr"));
    let in_usr = MERGED
        .iter()
        .filter(|path| {
            let name = path.trim_start_matches('/');
            let below = RootPath::new("/usr").join(name);
            tree.stat(&below)
                .is_ok_and(|meta| meta.kind == Kind::Directory)
        })
        .copied();
    let shell_path = RootPath::new("/bin/sh");
    let shell_runs = tree
        .stat(&shell_path)
        .is_ok_and(|meta| meta.kind == Kind::File && meta.mode & 0o111 != 0 && meta.size > 0);
    let modes = MODES.iter().filter_map(|path| {
        let path = RootPath::new(path);
        let meta = tree.stat(&path).ok()?;
        Some(Mode { path, meta })
    });
    let mut inits = Vec::new();
    let mut broken_inits = Vec::new();
    for path in INITS {
        match what(tree, path) {
            Is::Thing(Kind::File) | Is::Link(_, Some(Kind::File)) => inits.push(*path),
            Is::Link(target, None) => broken_inits.push((*path, target)),
            _ => {}
        }
    }
    Layout {
        merged: MERGED
            .iter()
            .map(|path| (*path, what(tree, path)))
            .collect(),
        in_usr: in_usr.collect(),
        usr_empty: usr.is_ok_and(|names| names.is_empty()),
        directories: DIRECTORIES
            .iter()
            .map(|path| (*path, what(tree, path)))
            .collect(),
        shell: Some(what(tree, "/bin/sh")),
        shell_runs,
        systemd: inits.iter().any(|path| path.ends_with("/systemd")),
        inits,
        broken_inits,
        modes: modes.collect(),
        modules: modules(tree),
    }
}

fn what(tree: &dyn Tree, path: &str) -> Is {
    let path = RootPath::new(path);
    match tree.lstat(&path) {
        Ok(meta) if meta.kind == Kind::Link => {
            let target = tree.read_link(&path).unwrap_or_default();
            let end = root::resolve(tree, &path).ok().map(|trail| trail.meta.kind);
            Is::Link(target, end)
        }
        Ok(meta) => Is::Thing(meta.kind),
        Err(error) => match error.raw_os_error() {
            Some(number) if !is_absent(number) => Is::Unreadable(number),
            _ => Is::Absent,
        },
    }
}

fn is_absent(number: i32) -> bool {
    use rustix::io::Errno;
    number == Errno::NOENT.raw_os_error() || number == Errno::NOTDIR.raw_os_error()
}

/// More kernels than anyone keeps.
const MOST_KERNELS: usize = 64;

fn modules(tree: &dyn Tree) -> Vec<String> {
    let mut found = Vec::new();
    for base in ["/lib/modules", "/usr/lib/modules"] {
        let base = RootPath::new(base);
        for name in tree
            .list(&base)
            .unwrap_or_default()
            .into_iter()
            .take(MOST_KERNELS)
        {
            let is_dir = tree
                .stat(&base.join(&name))
                .is_ok_and(|meta| meta.kind == Kind::Directory);
            let name = name.to_string_lossy().into_owned();
            if is_dir && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn links_are_told_from_directories_and_from_nothing() {
        let tree = Mem::new()
            .with_link("/bin", "usr/bin")
            .with_link("/lib", "usr/lib")
            .with_link("/sbin", "/nowhere")
            .with_file("/usr/bin/dash", "x")
            .with_link("/usr/bin/sh", "dash")
            .with_dir("/usr/lib");
        let layout = look(&tree);
        let is: Vec<Option<Kind>> = layout.merged.iter().map(|(_, is)| is.end()).collect();
        assert_eq!(
            is,
            [Some(Kind::Directory), None, Some(Kind::Directory), None]
        );
        assert_eq!(layout.in_usr, ["/bin", "/lib"]);
        assert!(layout.shell_runs);
    }
}
