//! Files that packages brought and that are gone or empty: what a power cut, a full disk or a hand
//! that slipped leaves of a package.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sum::Sum;
use super::{Packages, System, is_absent};
use crate::model::{Kind, RootPath};

/// So many files of one package are named.
const MOST_NAMES: usize = 6;
/// What administrators and images leave out on purpose (dpkg's path-exclude, pacman's NoExtract,
/// localepurge).
const LEFT_OUT: &[&str] = &[
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/info/",
    "/usr/share/locale/",
    "/usr/share/lintian/",
    "/usr/share/help/",
    "/usr/share/gnome/help/",
    "/usr/share/doc-base/",
    "/usr/share/bug/",
];
/// Of other systems than dpkg, whose lists do not tell what is configuration or may be left out,
/// programs and libraries only.
const KEPT: &[&str] = &[
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib",
    "/bin/",
    "/sbin/",
    "/lib",
];
/// Below these: archives that are emptied once they are unpacked, and what Python makes anew.
const MADE_ANEW: &[&str] = &["/usr/lib/locale/", "/usr/lib/sysimage/", "/usr/lib/python"];

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

/// What is lost, and which databases did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostFiles {
    /// Every package with files lost, by name.
    pub packages: BTreeMap<String, Lost>,
    /// Databases that cannot be read: why.
    pub unread: Vec<String>,
}

impl Packages<'_> {
    /// Looks for every file that every package recorded; none is opened.
    #[must_use]
    pub fn lost_files(&self) -> LostFiles {
        let mut found = LostFiles::default();
        for system in &self.systems {
            let outcome = self.sums(*system, &|_| true, &mut |package, path, sum| {
                if matters(*system, path) {
                    self.lose(&mut found.packages, package, path, &sum);
                }
            });
            if let Err(error) = outcome {
                found.unread.push(error.to_string());
            }
        }
        found
    }

    fn lose(&self, packages: &mut BTreeMap<String, Lost>, package: &str, path: &[u8], sum: &Sum) {
        let real = RootPath::from_bytes(path);
        let empty = match self.tree.lstat(&real) {
            Ok(meta) if meta.kind != Kind::File || meta.size > 0 || sum.is_of_nothing() => return,
            Ok(_) => true,
            Err(error) if is_absent(&error) => false,
            // A disk that fails has lost nothing yet.
            Err(_) => return,
        };
        let lost = packages.entry(package.to_string()).or_default();
        lost.empty += u32::from(empty);
        lost.gone += u32::from(!empty);
        if lost.names.len() < MOST_NAMES {
            lost.names.push(path.to_vec());
        }
    }
}

fn matters(system: System, path: &[u8]) -> bool {
    let below = |bases: &[&str]| bases.iter().any(|base| path.starts_with(base.as_bytes()));
    if system == System::Dpkg {
        return !below(LEFT_OUT);
    }
    below(KEPT) && !below(MADE_ANEW) && !path.ends_with(b".pyc")
}
