//! Finding profiles by name or path, and merging what they include.
//!
//! A name is looked for in the user's directory, then in `/etc/newroot/profiles`, then among the
//! shipped ones; the first wins. A profile that includes its own name means the one that it
//! replaces, so that a file can add to a shipped profile.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::builtin::BUILT_IN;
use super::error::ParseError;
use super::model::Profile;
use super::nearest::nearest;
use super::parse::{parse, stem};
use crate::model::RootPath;
use crate::root::{self, Tree};

/// A longer file is no profile.
const LIMIT: usize = 1 << 20;
/// A chain of includes that is deeper is a mistake.
const DEEPEST: usize = 32;
/// Where the administrator's profiles are.
const SYSTEM: &str = "/etc/newroot/profiles";

/// Where a profile comes from, the most important first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file that was named by its path.
    File(RootPath),
    /// The user's configuration directory.
    User(RootPath),
    /// `/etc/newroot/profiles`.
    System(RootPath),
    /// Shipped in the program.
    BuiltIn(&'static str),
}

impl Origin {
    /// One word for a table or a script: `file`, `user`, `system`, `built-in`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::User(_) => "user",
            Self::System(_) => "system",
            Self::BuiltIn(_) => "built-in",
        }
    }

    /// The file it is in; none for a shipped one.
    #[must_use]
    pub fn path(&self) -> Option<&RootPath> {
        match self {
            Self::File(path) | Self::User(path) | Self::System(path) => Some(path),
            Self::BuiltIn(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::User(path) | Self::System(path) => path.fmt(f),
            Self::BuiltIn(name) => write!(f, "built-in:{name}"),
        }
    }
}

/// A profile's text and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name it is found by; the file's stem.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The text as it is.
    pub text: String,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is wrong.
    #[error("{0}")]
    Parse(Box<ParseError>),
    /// No profile of that name or path.
    #[error("no profile {name}{}", by(chain))]
    NotFound {
        /// What was asked for.
        name: String,
        /// Who included whom on the way to it; empty when it was named by the user.
        chain: Vec<String>,
        /// A known name that is near.
        nearest: Option<String>,
    },
    /// Profiles that include each other.
    #[error("profiles include each other: {}", chain.join(" -> "))]
    Cycle {
        /// The names in order; the last is one of the others.
        chain: Vec<String>,
    },
    /// Includes nested deeper than 32.
    #[error("includes are nested too deep: {}", chain.join(" -> "))]
    TooDeep {
        /// The names in order.
        chain: Vec<String>,
    },
    /// The file is there and cannot be read.
    #[error("cannot read {path}{}: {error}", by(chain))]
    Read {
        /// The file.
        path: RootPath,
        /// Who included whom on the way to it.
        chain: Vec<String>,
        /// The errno of openat2(2) or pread(2); EFBIG above 1 MiB.
        #[source]
        error: io::Error,
    },
}

fn by(chain: &[String]) -> String {
    if chain.is_empty() {
        String::new()
    } else {
        format!(" (included by {})", chain.join(" -> "))
    }
}

/// The profiles that can be reached from one place: a tree, a user's environment, a working
/// directory.
#[derive(Clone)]
pub struct Library<'t> {
    tree: &'t dyn Tree,
    user: Option<RootPath>,
    working: RootPath,
}

impl fmt::Debug for Library<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("user", &self.user)
            .field("working", &self.working)
            .finish_non_exhaustive()
    }
}

impl<'t> Library<'t> {
    /// `config_home` and `home` are `$XDG_CONFIG_HOME` and `$HOME`; one that is not absolute is
    /// ignored, as the XDG specification wants it. Relative paths count from `working`.
    pub fn new(
        tree: &'t dyn Tree,
        config_home: Option<&OsStr>,
        home: Option<&OsStr>,
        working: &Path,
    ) -> Self {
        let absolute = |value: Option<&OsStr>| {
            let path = Path::new(value?);
            path.is_absolute().then(|| RootPath::new(path))
        };
        let user = absolute(config_home)
            .or_else(|| absolute(home).map(|home| home.join(".config")))
            .map(|base| base.join("newroot/profiles"));
        Self {
            tree,
            user,
            working: RootPath::new(working),
        }
    }

    /// Every name that finds a profile, sorted.
    ///
    /// # Errors
    /// [`LoadError::Read`] for a directory that is there and cannot be read.
    pub fn names(&self) -> Result<BTreeSet<String>, LoadError> {
        let mut names: BTreeSet<String> = BUILT_IN.iter().map(|(n, _)| n.to_string()).collect();
        let system = RootPath::new(SYSTEM);
        for directory in [Some(&system), self.user.as_ref()].into_iter().flatten() {
            let found = absent_is_none(self.tree.list(directory)).map_err(|error| {
                let path = directory.clone();
                let chain = Vec::new();
                LoadError::Read { path, chain, error }
            })?;
            for file in found.unwrap_or_default() {
                let name = file.to_str().and_then(|name| name.strip_suffix(".toml"));
                names.extend(name.filter(|name| !name.is_empty()).map(str::to_string));
            }
        }
        Ok(names)
    }

    /// The text of one profile, by name or path.
    ///
    /// # Errors
    /// [`LoadError::NotFound`] and [`LoadError::Read`].
    pub fn source(&self, name: &str) -> Result<Source, LoadError> {
        self.find(name, None, &[])
    }

    /// One profile, by name or path, with all that it includes merged in: what is included comes
    /// first, so the including profile has the last word. `include` of the result names every
    /// profile that took part.
    ///
    /// # Errors
    /// Any [`LoadError`].
    pub fn load(&self, name: &str) -> Result<Profile, LoadError> {
        self.load_all(std::slice::from_ref(&name.to_string()))
    }

    /// Several profiles merged in order, what they share merged once. The result has the name of
    /// the first, and is empty for an empty list.
    ///
    /// # Errors
    /// Any [`LoadError`].
    pub fn load_all(&self, names: &[String]) -> Result<Profile, LoadError> {
        let mut done = BTreeMap::new();
        let mut merged = Profile::default();
        for (index, name) in names.iter().enumerate() {
            let source = self.find(name, None, &[])?;
            let title = source.name.clone();
            let description = self.add(source, &mut Vec::new(), &mut done, &mut merged)?;
            if index == 0 {
                merged.name = title;
                merged.description = description;
            }
        }
        Ok(merged)
    }

    /// Merges `source` after all that it includes; gives back its description.
    fn add(
        &self,
        source: Source,
        open: &mut Vec<Source>,
        done: &mut BTreeMap<Origin, String>,
        merged: &mut Profile,
    ) -> Result<String, LoadError> {
        let mut chain: Vec<String> = open.iter().map(|above| above.name.clone()).collect();
        if let Some(start) = open.iter().position(|above| above.origin == source.origin) {
            chain.drain(..start);
            chain.push(source.name);
            return Err(LoadError::Cycle { chain });
        }
        chain.push(source.name.clone());
        if chain.len() > DEEPEST {
            return Err(LoadError::TooDeep { chain });
        }
        if let Some(description) = done.get(&source.origin) {
            return Ok(description.clone());
        }
        let file = match &source.origin {
            Origin::BuiltIn(name) => format!("built-in:{name}.toml"),
            other => other.to_string(),
        };
        let mut profile = parse(&source.text, &file).map_err(LoadError::Parse)?;
        profile.name.clone_from(&source.name);
        let origin = source.origin.clone();
        open.push(source);
        for name in std::mem::take(&mut profile.include) {
            let included = self.find(&name, open.last(), &chain)?;
            self.add(included, open, done, merged)?;
        }
        open.pop();
        let description = profile.description.clone();
        profile.include.push(profile.name.clone());
        merged.merge(profile);
        done.insert(origin, description.clone());
        Ok(description)
    }

    /// `from` is the profile that has the include, when it is one.
    fn find(
        &self,
        name: &str,
        from: Option<&Source>,
        chain: &[String],
    ) -> Result<Source, LoadError> {
        let found = if is_path(name) {
            let base = match from.and_then(|source| source.origin.path()) {
                Some(file) => file.parent(),
                None => self.working.clone(),
            };
            let path = if name.starts_with('/') {
                RootPath::new(name)
            } else {
                base.join(name.strip_prefix("./").unwrap_or(name))
            };
            self.read(&path, chain)?.map(|text| Source {
                name: stem(&path.to_string()),
                origin: Origin::File(path),
                text,
            })
        } else {
            self.by_name(name, from, chain)?
        };
        found.ok_or_else(|| LoadError::NotFound {
            name: name.to_string(),
            chain: chain.to_vec(),
            nearest: self.near(name),
        })
    }

    /// A profile that includes its own name gets the next one in the order of search.
    fn by_name(
        &self,
        name: &str,
        from: Option<&Source>,
        chain: &[String],
    ) -> Result<Option<Source>, LoadError> {
        let replaces = from.filter(|source| source.name == name);
        let beyond = |origin: &Origin| replaces.is_none_or(|source| *origin > source.origin);
        let file = format!("{name}.toml");
        let user = self.user.as_ref().map(|dir| Origin::User(dir.join(&file)));
        let system = Origin::System(RootPath::new(SYSTEM).join(&file));
        for origin in user.into_iter().chain([system]) {
            let Some(path) = origin.path().filter(|_| beyond(&origin)) else {
                continue;
            };
            if let Some(text) = self.read(path, chain)? {
                return Ok(Some(Source {
                    name: name.to_string(),
                    origin,
                    text,
                }));
            }
        }
        let shipped = BUILT_IN.iter().find(|(known, _)| *known == name);
        Ok(shipped
            .filter(|(known, _)| beyond(&Origin::BuiltIn(known)))
            .map(|(known, text)| Source {
                name: name.to_string(),
                origin: Origin::BuiltIn(known),
                text: text.to_string(),
            }))
    }

    /// `None` when there is no such file.
    fn read(&self, path: &RootPath, chain: &[String]) -> Result<Option<String>, LoadError> {
        absent_is_none(root::read(self.tree, path, LIMIT))
            .and_then(|bytes| {
                bytes
                    .map(|bytes| String::from_utf8(bytes).map_err(|_not_text| Errno::ILSEQ.into()))
                    .transpose()
            })
            .map_err(|error| LoadError::Read {
                path: path.clone(),
                chain: chain.to_vec(),
                error,
            })
    }

    fn near(&self, name: &str) -> Option<String> {
        // An unreadable directory must not hide that the name is unknown.
        let known = self.names().unwrap_or_default();
        nearest(name, known.iter().map(String::as_str)).map(str::to_string)
    }
}

/// Names hold no slash; a file of the working directory is meant by its ending.
fn is_path(name: &str) -> bool {
    name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "toml")
}

fn absent_is_none<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.raw_os_error(), Some(code) if code == Errno::NOENT.raw_os_error() || code == Errno::NOTDIR.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
