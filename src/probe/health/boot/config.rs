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
    if bytes.is_empty() {
        config.broken = Some("it is empty".into());
    } else if bytes.iter().take(4096).any(|byte| *byte == 0) {
        config.broken = Some("it holds NUL bytes: it was being written when the power went".into());
    }
    Some(config)
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
