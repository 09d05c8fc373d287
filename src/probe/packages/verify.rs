//! Files that dpkg installed and that are gone or empty: what a power cut, a full disk or a hand
//! that slipped leaves of a package.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dpkg::Diversions;
use super::recorded::entry;
use super::{PackageError, lines, list, read};
use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// The MD5 of nothing: the file is meant to be empty.
const EMPTY: &[u8] = b"d41d8cd98f00b204e9800998ecf8427e";
/// So many files of one package are named.
const MOST_NAMES: usize = 6;
/// What administrators and images leave out on purpose (dpkg's path-exclude, localepurge).
const LEFT_OUT: &[&[u8]] = &[
    b"usr/share/doc/",
    b"usr/share/man/",
    b"usr/share/info/",
    b"usr/share/locale/",
    b"usr/share/lintian/",
    b"usr/share/help/",
    b"usr/share/gnome/help/",
    b"usr/share/doc-base/",
    b"usr/share/bug/",
];

/// Files of one package that are not as they were installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many are not there.
    pub gone: u32,
    /// How many are empty, and were not.
    pub empty: u32,
    /// The first few, by name.
    pub names: Vec<Vec<u8>>,
}

/// Every package with files lost, by name.
///
/// # Errors
/// [`PackageError::Read`]: the database itself.
pub fn lost_files(tree: &dyn Tree) -> Result<BTreeMap<String, Lost>, PackageError> {
    let info = RootPath::new("/var/lib/dpkg/info");
    let diversions = Diversions::read(tree)?;
    let mut found: BTreeMap<String, Lost> = BTreeMap::new();
    for file in list(tree, &info)? {
        let Some(stem) = file.strip_suffix(".md5sums") else {
            continue;
        };
        let package = stem.split(':').next().unwrap_or(stem);
        let Some(text) = read(tree, &info.join(&file))? else {
            continue;
        };
        let mut lost = Lost::default();
        for (sum, path) in lines(&text).filter_map(entry) {
            if LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)) {
                continue;
            }
            let listed = [b"/", path].concat();
            let real = RootPath::from_bytes(diversions.real(package, &listed));
            match tree.lstat(&real) {
                Ok(meta) if meta.kind != Kind::File || meta.size > 0 || sum == EMPTY => continue,
                Ok(_) => lost.empty += 1,
                Err(_) => lost.gone += 1,
            }
            if lost.names.len() < MOST_NAMES {
                lost.names.push(real.as_bytes().to_vec());
            }
        }
        if lost != Lost::default() {
            found.insert(package.to_string(), lost);
        }
    }
    Ok(found)
}
