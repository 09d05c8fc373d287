//! Where the files that are wrong come from: the package, and whether what it recorded holds.

use std::collections::{BTreeMap, BTreeSet};

use super::programs::{Programs, Wrong, search_directories};
use crate::model::RootPath;
use crate::probe::{Packages, Record};
use crate::root::Tree;

/// So many files are looked up.
const MOST: usize = 4000;
/// So many are compared with their checksum: reading a file costs.
const MOST_RECORDS: usize = 200;

/// Whose a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The package.
    pub package: String,
    /// The file against its record.
    pub record: Record,
}

/// By path, as the root has it.
pub type Origins = BTreeMap<RootPath, Origin>;

/// Looks up every file that `programs` names, and every place where a missing library may have
/// been. An error of the database leaves the answer empty: it is reported elsewhere.
#[must_use]
pub fn find(tree: &dyn Tree, programs: &Programs, more: &[RootPath]) -> Origins {
    let mut paths: BTreeSet<RootPath> = more.iter().cloned().collect();
    let mut compare: BTreeSet<RootPath> = paths.clone();
    let searched = search_directories(tree);
    for trouble in &programs.troubles {
        match &trouble.wrong {
            Wrong::Library { name } => {
                let name = RootPath::from_bytes(&[b"/", name.as_slice()].concat());
                paths.extend(
                    searched
                        .iter()
                        .filter_map(|base| Some(base.join(name.file_name()?))),
                );
            }
            Wrong::Loader { path }
            | Wrong::Refused { path, .. }
            | Wrong::Version { path, .. }
            | Wrong::Damaged { path, .. } => {
                let path = RootPath::from_bytes(path);
                compare.insert(path.clone());
                paths.insert(path);
            }
        }
        paths.extend(
            trouble
                .who
                .iter()
                .map(|who| RootPath::from_bytes(&who.path)),
        );
    }
    if paths.is_empty() {
        return Origins::new();
    }
    let packages = Packages::open(tree);
    let wanted: Vec<RootPath> = paths.into_iter().take(MOST).collect();
    let Ok(owners) = packages.owners_of(&wanted) else {
        return Origins::new();
    };
    let compared: Vec<(&str, &RootPath)> = owners
        .iter()
        .filter(|(path, _)| compare.contains(**path))
        .take(MOST_RECORDS)
        .map(|(path, package)| (package.as_str(), *path))
        .collect();
    let records = packages.records_of(&compared);
    let records: BTreeMap<&RootPath, Record> = compared
        .iter()
        .map(|(_, path)| *path)
        .zip(records)
        .collect();
    owners
        .iter()
        .map(|(path, package)| {
            let record = records.get(path).copied();
            let record = record.unwrap_or_else(|| match tree.stat(path) {
                Ok(_) => Record::Unknown,
                Err(_) => Record::Gone,
            });
            let package = package.clone();
            ((*path).clone(), Origin { package, record })
        })
        .collect()
}
