//! The configuration files of the boot loaders, whatever their format, as one list of entries.

use super::{entries, grubcfg};
use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// Longer files are no configuration.
const LIMIT: usize = 8 << 20;
/// More files than anyone has.
const MOST_FILES: usize = 200;

/// Which program reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GRUB's script.
    Grub,
    /// Boot Loader Specification, one file an entry.
    Bls,
    /// extlinux.conf, syslinux.cfg.
    Syslinux,
}

/// One thing that can be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the menu.
    pub title: String,
    /// Line of the kernel, from 1.
    pub line: usize,
    /// The kernel, as written.
    pub kernel: Option<String>,
    /// What is loaded besides, as written.
    pub initrds: Vec<String>,
    /// The kernel's command line.
    pub options: String,
    /// The filesystem that the loader is told to look for before: line, UUID.
    pub search: Option<(usize, String)>,
    /// It starts when nobody chooses.
    pub default: bool,
    /// It lies in a submenu, or is a recovery entry.
    pub minor: bool,
    /// Files that it names and that are not where the loader would look, as written.
    pub missing: Vec<String>,
}

impl Entry {
    /// The value of `root=`; the last one counts.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        self.options
            .split_whitespace()
            .rev()
            .find_map(|word| word.strip_prefix("root="))
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file.
    pub path: RootPath,
    /// Its format.
    pub format: Format,
    /// What it can start.
    pub entries: Vec<Entry>,
    /// Searches for a filesystem outside of any entry: line, UUID.
    pub searches: Vec<(usize, String)>,
    /// It reads other files, where entries may be (`configfile`, `blscfg`).
    pub refers: bool,
    /// What is wrong with it as a whole.
    pub broken: Option<String>,
}

const GRUB: &[&str] = &["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];
const BLS: &[&str] = &[
    "/boot/loader/entries",
    "/efi/loader/entries",
    "/boot/efi/loader/entries",
];
const SYSLINUX: &[&str] = &[
    "/boot/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux/extlinux.conf",
];

/// Every configuration in its usual place.
#[must_use]
pub fn find(tree: &dyn Tree) -> Vec<Config> {
    let mut found = Vec::new();
    for path in GRUB {
        found.extend(read(tree, &RootPath::new(path), Format::Grub));
    }
    for path in SYSLINUX {
        found.extend(read(tree, &RootPath::new(path), Format::Syslinux));
    }
    let mut seen = std::collections::BTreeSet::new();
    for base in BLS {
        let Ok(base) = root::canonical(tree, &RootPath::new(base)) else {
            continue;
        };
        if !seen.insert(base.clone()) {
            continue;
        }
        for name in tree.list(&base).unwrap_or_default() {
            if name.to_string_lossy().ends_with(".conf") && found.len() < MOST_FILES {
                found.extend(read(tree, &base.join(name), Format::Bls));
            }
        }
    }
    found
}

fn read(tree: &dyn Tree, path: &RootPath, format: Format) -> Option<Config> {
    let meta = tree.stat(path).ok()?;
    let bytes = match root::read(tree, path, LIMIT) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Some(Config {
                broken: Some(error.to_string()),
                ..empty(path, format)
            });
        }
    };
    if meta.kind != Kind::File {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut config = match format {
        Format::Grub => grubcfg::parse(path, &text),
        Format::Bls => entries::bls(path, &text),
        Format::Syslinux => entries::syslinux(path, &text),
    };
    resolve(tree, &mut config);
    if bytes.is_empty() {
        config.broken = Some("it is empty".into());
    } else if bytes.iter().take(4096).any(|byte| *byte == 0) {
        config.broken = Some("it holds NUL bytes: it was being written when the power went".into());
    }
    Some(config)
}

/// Notes which files are not there. Loaders read paths from the top of the filesystem that they
/// lie on, which need not be the root of the system: `/boot` may be one of its own, a btrfs has
/// its subvolume before everything.
fn resolve(tree: &dyn Tree, config: &mut Config) {
    let directory = config.path.parent();
    // /boot/loader/entries/x.conf names files of /boot.
    let base = match config.format {
        Format::Bls => directory.parent().parent(),
        Format::Grub | Format::Syslinux => RootPath::new("/boot"),
    };
    for entry in &mut config.entries {
        let named = entry.kernel.iter().chain(&entry.initrds);
        let missing = named.filter(|name| !is_there(tree, &base, &directory, name));
        entry.missing = missing.cloned().collect();
    }
}

fn is_there(tree: &dyn Tree, base: &RootPath, directory: &RootPath, name: &str) -> bool {
    let name = match name.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        // ($root)/vmlinuz; a path on a device of its own, or in the network, cannot be followed.
        Some(("$root", path)) => path,
        Some(_) => return true,
        None => name,
    };
    if name.is_empty() || name.contains(['$', ':', '\\']) {
        return true;
    }
    let found = |path: RootPath| root::is_file(tree, &path);
    if !name.starts_with('/') {
        return found(directory.join(name));
    }
    let below = |name: &str| {
        found(RootPath::new(name))
            || found(base.join(name.trim_start_matches('/')))
            || found(RootPath::new("/boot").join(name.trim_start_matches('/')))
    };
    // /@/boot/vmlinuz, /root/boot/vmlinuz, /@/.snapshots/1/snapshot/boot/vmlinuz
    let inner = name
        .find("/boot/")
        .filter(|at| *at > 0)
        .map(|at| &name[at..]);
    below(name) || inner.is_some_and(below)
}

/// A configuration that says nothing.
pub(super) fn empty(path: &RootPath, format: Format) -> Config {
    Config {
        path: path.clone(),
        format,
        entries: Vec::new(),
        searches: Vec::new(),
        refers: false,
        broken: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn files_are_looked_for_where_the_loader_looks() {
        let base = Mem::new().with_file("/boot/vmlinuz-1", "k").with_file(
            "/boot/extlinux.conf",
            "LABEL a\n LINUX vmlinuz-1\n INITRD nothing\n",
        );
        let entry = |path: &str| format!("menuentry a {{\n linux {path} root=x\n}}\n");
        let table = [
            ("/vmlinuz-1", true),
            ("/boot/vmlinuz-1", true),
            ("/@/boot/vmlinuz-1", true),
            ("($root)/vmlinuz-1", true),
            ("(hd1,gpt2)/other", true),
            ("$prefix/vmlinuz", true),
            ("/boot/vmlinuz-2", false),
            ("/@/boot/vmlinuz-2", false),
        ];
        for (path, there) in table {
            let tree = base.clone().with_file("/boot/grub/grub.cfg", entry(path));
            let found = find(&tree);
            assert_eq!(found[0].entries[0].missing.is_empty(), there, "{path}");
            assert_eq!(found[1].entries[0].missing, ["nothing"]);
        }
    }
}
