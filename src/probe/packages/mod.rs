//! Which files a package brought, and which package brought a file, from the package databases
//! of a root: dpkg, rpm, apk, pacman. Nothing is executed.
//!
//! The databases may be hostile: every parser is pure over bytes, bounded, and skips what has not
//! the right shape. Paths come out as the root has them, whatever spelling the package used
//! before `/bin` became a link to `/usr/bin`.

mod apk;
mod bdb;
mod dpkg;
mod ndb;
mod pacman;
mod recorded;
mod rpm;
mod sieve;
mod spelling;
mod sqlite;
mod sum;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use rustix::io::Errno;

use crate::model::{Kind, Map, Meta, RootPath};
use crate::root::{self, Tree};
pub use recorded::Record;
use sieve::Sieve;
use spelling::Spelling;
use sum::Sum;
pub use verify::{Lost, LostFiles};

/// A longer list, status file or index is refused.
const LIMIT: usize = 256 << 20;

/// A package manager whose database was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// Debian and its children.
    Dpkg,
    /// Fedora, SUSE and their relatives.
    Rpm,
    /// Alpine.
    Apk,
    /// Arch.
    Pacman,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
        })
    }
}

/// What a package lists, as it is in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageFiles {
    /// Files, links and devices; sorted.
    pub files: Vec<RootPath>,
    /// Directories: these themselves, not what other packages put into them; sorted.
    pub directories: Vec<RootPath>,
    /// Listed, and not there: a removed conffile, documentation that was filtered at install.
    pub absent: Vec<RootPath>,
}

/// Why a package's files are not known.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// No database at all.
    #[error("no package database (looked for dpkg's, rpm's, apk's and pacman's)")]
    NoDatabase,
    /// No installed package of that name.
    #[error("package {name} is not installed, {} says", systems(known))]
    NotInstalled {
        /// The name that was asked for.
        name: String,
        /// The databases that were asked.
        known: Vec<System>,
    },
    /// A database that cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file or directory.
        path: RootPath,
        /// The errno.
        #[source]
        error: io::Error,
    },
    /// A database in another format than the ones known, or damaged.
    #[error("{path}: {why}")]
    Format {
        /// The file.
        path: RootPath,
        /// What is wrong with it.
        why: &'static str,
    },
}

fn systems(known: &[System]) -> String {
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    names.join(" and ")
}

/// Called with each package and each path it lists.
type Visit<'v> = dyn FnMut(&str, &[u8]) + 'v;

/// The package databases of one root.
pub struct Packages<'t> {
    tree: &'t dyn Tree,
    systems: Vec<System>,
    spelling: Spelling,
}

impl fmt::Debug for Packages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packages")
            .field("systems", &self.systems)
            .finish_non_exhaustive()
    }
}

impl<'t> Packages<'t> {
    /// Looks which databases `tree` has. A Debian with rpm(8) installed has an empty rpm
    /// database beside its own, so there may be several.
    pub fn open(tree: &'t dyn Tree) -> Self {
        let found = [
            (System::Dpkg, dpkg::present(tree)),
            (System::Rpm, rpm::present(tree)),
            (System::Apk, apk::present(tree)),
            (System::Pacman, pacman::present(tree)),
        ];
        let systems = found
            .into_iter()
            .filter_map(|(s, there)| there.then_some(s));
        Self {
            tree,
            systems: systems.collect(),
            spelling: Spelling::of(tree),
        }
    }

    /// The databases that were found.
    #[must_use]
    pub fn systems(&self) -> &[System] {
        &self.systems
    }

    /// Every file of an installed package. The name may carry the architecture as its database
    /// spells it: `libc6:i386`, `glibc.i686`.
    ///
    /// # Errors
    /// Any [`PackageError`].
    pub fn files_of(&self, package: &str) -> Result<PackageFiles, PackageError> {
        if self.systems.is_empty() {
            return Err(PackageError::NoDatabase);
        }
        // The name becomes part of a file name.
        let usable = !package.is_empty() && !package.contains(['/', '\0']);
        for system in self.systems.iter().filter(|_| usable) {
            let listed = match system {
                System::Dpkg => dpkg::files_of(self.tree, package),
                System::Rpm => rpm::files_of(self.tree, package),
                System::Apk => apk::files_of(self.tree, package),
                System::Pacman => pacman::files_of(self.tree, package),
            }?;
            if let Some(listed) = listed {
                return self.sort(listed);
            }
        }
        Err(PackageError::NotInstalled {
            name: package.to_string(),
            known: self.systems.clone(),
        })
    }

    fn sort(&self, listed: Vec<Vec<u8>>) -> Result<PackageFiles, PackageError> {
        let listed: BTreeSet<Vec<u8>> = listed.into_iter().collect();
        let holds_others = |path: &[u8]| {
            let below = [path, b"/"].concat();
            let next = listed.range(below.clone()..).next();
            next.is_some_and(|next| next.starts_with(&below))
        };
        let mut sorted = PackageFiles::default();
        for listed in &listed {
            let path = RootPath::from_bytes(&self.spelling.of_path(listed));
            if path.file_name().is_none() || self.spelling.is_link(listed) {
                continue;
            }
            match self.tree.lstat(&path) {
                Ok(meta) if meta.kind == Kind::Directory => sorted.directories.push(path),
                // The package means a directory, and the root has made it a link. To copy it
                // with what it leads to would bring every other package's files.
                Ok(meta) if meta.kind == Kind::Link && holds_others(listed) => {}
                Ok(_) => sorted.files.push(path),
                Err(error) if is_absent(&error) => sorted.absent.push(path),
                Err(error) => return Err(PackageError::Read { path, error }),
            }
        }
        for list in [
            &mut sorted.files,
            &mut sorted.directories,
            &mut sorted.absent,
        ] {
            list.sort();
            list.dedup();
        }
        Ok(sorted)
    }

    /// The packages that brought these paths, all looked up in one pass over the databases; a
    /// path that belongs to none is absent from the answer. Where several packages list a path
    /// the first in the database's order is named.
    ///
    /// # Errors
    /// [`PackageError::Read`] and [`PackageError::Format`].
    pub fn owners_of<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p RootPath>,
    ) -> Result<BTreeMap<&'p RootPath, String>, PackageError> {
        let mut wanted: Map<Vec<u8>, Vec<&'p RootPath>> = Map::default();
        let mut sieve = Sieve::default();
        for path in paths {
            if self.spelling.is_link(path.as_bytes()) {
                continue;
            }
            sieve.add(path.as_bytes());
            let key = self.spelling.of_path(path.as_bytes()).into_owned();
            wanted.entry(key).or_default().push(path);
        }
        let mut owners = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(owners);
        }
        let mut visit = |package: &str, path: &[u8]| {
            if !sieve.may_have(path) {
                return;
            }
            if let Some(asked) = wanted.get(&*self.spelling.of_path(path)) {
                for path in asked {
                    owners.entry(*path).or_insert_with(|| package.to_string());
                }
            }
        };
        for system in &self.systems {
            match system {
                System::Dpkg => dpkg::each(self.tree, &mut visit),
                System::Rpm => rpm::each(self.tree, &mut visit),
                System::Apk => apk::each(self.tree, &mut visit),
                System::Pacman => pacman::each(self.tree, &mut visit),
            }?;
        }
        Ok(owners)
    }

    /// Whether files, each with the package that brought it, still have the content that was
    /// recorded: one answer each, all from one pass over the databases. A database that cannot be
    /// read recorded nothing.
    #[must_use]
    pub fn records_of(&self, files: &[(&str, &RootPath)]) -> Vec<Record> {
        let mut wanted: Map<Vec<u8>, Vec<usize>> = Map::default();
        for (index, (_, path)) in files.iter().enumerate() {
            let is_link = |meta: Meta| meta.kind == Kind::Link;
            let real = root::canonical(self.tree, path).ok();
            // What is recorded of a link says nothing of the file it leads to.
            let own = (!self.tree.lstat(path).is_ok_and(is_link)).then(|| (*path).clone());
            let keys: BTreeSet<Vec<u8>> = real
                .into_iter()
                .chain(own)
                .map(|path| self.spelling.of_path(path.as_bytes()).into_owned())
                .collect();
            for key in keys {
                wanted.entry(key).or_default().push(index);
            }
        }
        let names: BTreeSet<&str> = files.iter().map(|(package, _)| *package).collect();
        let mut sums: Vec<Option<Sum>> = vec![None; files.len()];
        for system in &self.systems {
            // Where one cannot be read, what another said still counts.
            self.sums(
                *system,
                &|name| names.contains(name),
                &mut |package, path, sum| {
                    let asked = wanted
                        .get(&*self.spelling.of_path(path))
                        .into_iter()
                        .flatten();
                    for index in asked.filter(|index| files[**index].0 == package) {
                        sums[*index].get_or_insert(sum);
                    }
                },
            )
            .unwrap_or_default();
        }
        let compared = files.iter().zip(&sums);
        compared
            .map(|((_, path), sum)| recorded::compare(self.tree, path, sum.as_ref()))
            .collect()
    }

    /// Every checksum that packages with a `wanted` name recorded.
    fn sums(
        &self,
        system: System,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut recorded::Visit<'_>,
    ) -> Result<(), PackageError> {
        match system {
            System::Dpkg => dpkg::sums(self.tree, wanted, visit),
            System::Rpm => rpm::sums(self.tree, wanted, visit),
            System::Apk => apk::sums(self.tree, wanted, visit),
            System::Pacman => pacman::sums(self.tree, wanted, visit),
        }
    }

    /// The package that brought one path. For many paths use [`Packages::owners_of`].
    ///
    /// # Errors
    /// As [`Packages::owners_of`].
    pub fn owner_of(&self, path: &RootPath) -> Result<Option<String>, PackageError> {
        Ok(self.owners_of([path])?.remove(path))
    }
}

fn is_absent(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(Errno::NOENT.raw_os_error()) || code == Some(Errno::NOTDIR.raw_os_error())
}

/// A file of a database; `None` when it is not there.
fn read(tree: &dyn Tree, path: &RootPath) -> Result<Option<Vec<u8>>, PackageError> {
    match root::read(tree, path, LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(PackageError::Read {
            path: path.clone(),
            error,
        }),
    }
}

/// The names in a directory of a database, those that are text; none when it is not there.
fn list(tree: &dyn Tree, path: &RootPath) -> Result<Vec<String>, PackageError> {
    match tree.list(path) {
        Ok(names) => Ok(names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect()),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(PackageError::Read {
            path: path.clone(),
            error,
        }),
    }
}

/// Lines without their newline, empty ones left out.
fn lines(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(end);
        bytes = rest.get(1..).unwrap_or_default();
        Some(line)
    });
    all.filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
