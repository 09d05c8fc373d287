//! Wildcards over a [`Tree`]: `*`, `?`, `[…]` within a name, `**` for any number of directories.
//!
//! A wildcard matches names that begin with a dot as well, as find(1) has it: a jail wants
//! everything that is there. `**` never descends through a symbolic link, so a loop of links
//! ends; nothing leaves the tree, since every look goes through it. Work is bounded.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// Names looked at for one pattern; a whole Debian has fewer.
const MOST_LOOKS: usize = 1 << 20;

/// A pattern that is none, or a tree that is too big for it.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    /// `[` without `]`.
    #[error("has a `[` without its `]`")]
    UnclosedClass,
    /// `[z-a]`.
    #[error("has a range that ends before it begins: `{0}-{1}`")]
    EmptyRange(char, char),
    /// More names than anybody means.
    #[error("matches too much: more than 1048576 names were looked at")]
    TooMany,
    /// A directory that is there and cannot be read.
    #[error("cannot list {0}: {1}")]
    List(RootPath, #[source] io::Error),
}

/// One part of a pattern between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// No wildcard in it.
    Literal(Vec<u8>),
    /// Matched against each name of the directory.
    Name(Vec<Item>),
    /// `**`.
    Anywhere,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Any,
    Star,
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

/// A path with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    /// Reads an absolute path with wildcards; `\` takes a wildcard's meaning away.
    ///
    /// # Errors
    /// [`GlobError::UnclosedClass`] and [`GlobError::EmptyRange`].
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let mut parts = Vec::new();
        for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
            // Two `**` in a row mean no more than one.
            if part != "**" {
                parts.push(Part::new(part)?);
            } else if parts.last() != Some(&Part::Anywhere) {
                parts.push(Part::Anywhere);
            }
        }
        Ok(Self { parts })
    }

    /// Whether there is any wildcard.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        !self
            .parts
            .iter()
            .all(|part| matches!(part, Part::Literal(_)))
    }

    /// Whether the whole path matches, as text.
    #[must_use]
    pub fn matches(&self, path: &RootPath) -> bool {
        self.reach(path).1
    }

    /// Whether the path or a directory above it matches: what `exclude` leaves out.
    #[must_use]
    pub fn covers(&self, path: &RootPath) -> bool {
        self.reach(path).0
    }

    /// `(some prefix of whole names matches, the whole path matches)`.
    fn reach(&self, path: &RootPath) -> (bool, bool) {
        // The positions in the pattern that the names read so far can have led to.
        let mut states = BTreeSet::from([0]);
        self.skip_anywhere(&mut states);
        let mut whole = states.contains(&self.parts.len());
        let mut some = whole;
        for name in path.as_bytes().split(|byte| *byte == b'/') {
            if name.is_empty() {
                continue;
            }
            let mut next = BTreeSet::new();
            for state in states {
                match self.parts.get(state) {
                    Some(Part::Anywhere) => {
                        next.insert(state);
                    }
                    Some(part) if part.matches(name) => {
                        next.insert(state + 1);
                    }
                    _ => {}
                }
            }
            self.skip_anywhere(&mut next);
            whole = next.contains(&self.parts.len());
            some |= whole;
            states = next;
        }
        (some, whole)
    }

    /// `**` may stand for no directory at all.
    fn skip_anywhere(&self, states: &mut BTreeSet<usize>) {
        for state in states.clone() {
            if self.parts.get(state) == Some(&Part::Anywhere) {
                states.insert(state + 1);
            }
        }
    }

    /// Every path of `tree` that matches, sorted by bytes; empty when there is none. Links at
    /// the end of the pattern are results themselves and are not followed.
    ///
    /// # Errors
    /// [`GlobError::TooMany`]; [`GlobError::List`] for a directory that is there and cannot be
    /// read. A name that vanishes meanwhile is no error.
    pub fn expand(&self, tree: &dyn Tree) -> Result<Vec<RootPath>, GlobError> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::from([(RootPath::root(), 0)]);
        let mut pending = vec![(RootPath::root(), 0)];
        let mut looks = 0_usize;
        while let Some((at, state)) = pending.pop() {
            let mut reached = Vec::new();
            match self.parts.get(state) {
                None => {
                    found.insert(at);
                }
                Some(Part::Literal(name)) => {
                    let next = at.join(std::ffi::OsStr::from_bytes(name));
                    if tree.lstat(&next).is_ok() {
                        reached.push((next, state + 1));
                    }
                    looks += 1;
                }
                Some(Part::Name(_)) => {
                    let part = &self.parts[state];
                    for name in names(tree, &at)? {
                        looks += 1;
                        if part.matches(name.as_bytes()) {
                            reached.push((at.join(&name), state + 1));
                        }
                    }
                }
                Some(Part::Anywhere) => {
                    reached.push((at.clone(), state + 1));
                    let last = state + 1 == self.parts.len();
                    for name in names(tree, &at)? {
                        looks += 1;
                        let next = at.join(&name);
                        let directory = tree
                            .lstat(&next)
                            .is_ok_and(|meta| meta.kind == Kind::Directory);
                        if directory {
                            reached.push((next, state));
                        } else if last {
                            reached.push((next, state + 1));
                        }
                    }
                }
            }
            if looks > MOST_LOOKS {
                return Err(GlobError::TooMany);
            }
            for place in reached {
                if seen.insert(place.clone()) {
                    pending.push(place);
                }
            }
        }
        Ok(found.into_iter().collect())
    }
}

/// The names in a directory; none when it is no directory or gone.
fn names(tree: &dyn Tree, at: &RootPath) -> Result<Vec<std::ffi::OsString>, GlobError> {
    use rustix::io::Errno;
    tree.list(at).or_else(|error| {
        let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP];
        let code = error.raw_os_error();
        if gone.iter().any(|errno| code == Some(errno.raw_os_error())) {
            Ok(Vec::new())
        } else {
            Err(GlobError::List(at.clone(), error))
        }
    })
}

impl Part {
    fn new(text: &str) -> Result<Self, GlobError> {
        let items = items(text)?;
        let literal: Option<Vec<u8>> = items
            .iter()
            .map(|item| match item {
                Item::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        Ok(literal.map_or(Self::Name(items), Self::Literal))
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Name(items) => name_matches(items, name),
            Self::Anywhere => true,
        }
    }
}

fn items(text: &str) -> Result<Vec<Item>, GlobError> {
    let mut rest = text.as_bytes();
    let mut items = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'*' => {
                if items.last() != Some(&Item::Star) {
                    items.push(Item::Star);
                }
            }
            b'?' => items.push(Item::Any),
            b'[' => {
                let (class, after) = class(rest)?;
                items.push(class);
                rest = after;
            }
            b'\\' => {
                let (byte, after) = rest.split_first().unwrap_or((&b'\\', &[]));
                items.push(Item::Byte(*byte));
                rest = after;
            }
            byte => items.push(Item::Byte(*byte)),
        }
    }
    Ok(items)
}

/// What follows a `[`: `!` or `^` negates, a `]` that comes first is meant literally.
fn class(text: &[u8]) -> Result<(Item, &[u8]), GlobError> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut ranges = Vec::new();
    loop {
        let low = *text.get(at).ok_or(GlobError::UnclosedClass)?;
        if low == b']' && at > first {
            return Ok((Item::Class { negated, ranges }, &text[at + 1..]));
        }
        match (text.get(at + 1), text.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                if *high < low {
                    return Err(GlobError::EmptyRange(low.into(), (*high).into()));
                }
                ranges.push((low, *high));
                at += 3;
            }
            _ => {
                ranges.push((low, low));
                at += 1;
            }
        }
    }
}

/// Matches one name; goes back to the last `*` only, so it never takes more than
/// `items * name` steps.
fn name_matches(items: &[Item], name: &[u8]) -> bool {
    let (mut item, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < name.len() {
        let fits = match items.get(item) {
            Some(Item::Star) => {
                retry = Some((item, at));
                item += 1;
                continue;
            }
            Some(Item::Any) => true,
            Some(Item::Byte(byte)) => *byte == name[at],
            Some(Item::Class { negated, ranges }) => {
                let inside = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&name[at]));
                inside != *negated
            }
            None => false,
        };
        if fits {
            (item, at) = (item + 1, at + 1);
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            (item, at) = (star + 1, from + 1);
        } else {
            return false;
        }
    }
    items[item..].iter().all(|item| *item == Item::Star)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn tree() -> Mem {
        Mem::new()
            .with_file("/usr/lib/python3.11/os.py", "")
            .with_file("/usr/lib/python3.11/json/__init__.py", "")
            .with_file("/usr/lib/python3.11/json/__pycache__/x.pyc", "")
            .with_file("/usr/lib/python3.11/.hidden", "")
            .with_link("/usr/lib/python3.11/loop", ".")
            .with_link("/lib", "usr/lib")
            .with_link("/usr/lib/dangling", "nowhere")
            .with_file("/usr/lib/a*b", "")
    }

    fn expand(pattern: &str) -> Vec<String> {
        let found = Pattern::new(pattern).unwrap().expand(&tree()).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wildcards_find_what_is_there() {
        assert_eq!(
            expand("/usr/lib/python3*/*.py"),
            ["/usr/lib/python3.11/os.py"]
        );
        assert_eq!(
            expand("/lib/python3.[0-9][!0]/?s.py"),
            ["/lib/python3.11/os.py"]
        );
        assert_eq!(
            expand("/usr/**/*.py"),
            [
                "/usr/lib/python3.11/json/__init__.py",
                "/usr/lib/python3.11/os.py"
            ]
        );
        assert_eq!(
            expand("/usr/**/__pycache__"),
            ["/usr/lib/python3.11/json/__pycache__"]
        );
        assert_eq!(expand("/usr/lib/d*"), ["/usr/lib/dangling"]);
        assert_eq!(expand("/usr/lib/a\\*b"), ["/usr/lib/a*b"]);
        assert_eq!(expand("/usr/lib"), ["/usr/lib"]);
        assert_eq!(expand("/nowhere/*"), [] as [&str; 0]);
        assert_eq!(expand("/usr/lib/python3.11/os.py/*"), [] as [&str; 0]);
    }

    #[test]
    fn double_star_takes_everything_and_follows_no_link() {
        let all = expand("/usr/lib/python3.11/**");
        assert!(all.contains(&"/usr/lib/python3.11/json/__pycache__/x.pyc".to_string()));
        assert!(all.contains(&"/usr/lib/python3.11/.hidden".to_string()));
        assert!(all.contains(&"/usr/lib/python3.11/loop".to_string()));
        assert!(all.iter().all(|path| !path.contains("loop/")), "{all:?}");
        assert!(all.contains(&"/usr/lib/python3.11".to_string()));
    }

    #[test]
    fn matching_is_text_and_covers_what_lies_below() {
        let table = [
            (
                "/usr/lib/python3*/test",
                "/usr/lib/python3.11/test",
                true,
                true,
            ),
            (
                "/usr/lib/python3*/test",
                "/usr/lib/python3.11/test/a",
                false,
                true,
            ),
            (
                "/usr/lib/python3*/test",
                "/usr/lib/python3.11/tests",
                false,
                false,
            ),
            ("/usr/**/__pycache__", "/usr/a/b/__pycache__/x", false, true),
            ("/usr/**/__pycache__", "/usr/__pycache__", true, true),
            ("/usr/**", "/usr/a/b", true, true),
            ("/usr/**", "/use", false, false),
            ("/**/*.pyc", "/a/b.pyc", true, true),
            ("/a", "/", false, false),
        ];
        for (pattern, path, matches, covers) in table {
            let compiled = Pattern::new(pattern).unwrap();
            let path = RootPath::new(path);
            assert_eq!(compiled.matches(&path), matches, "{pattern} {path}");
            assert_eq!(compiled.covers(&path), covers, "{pattern} {path}");
        }
    }

    #[test]
    fn odd_patterns() {
        assert!(matches!(
            Pattern::new("/a[b"),
            Err(GlobError::UnclosedClass)
        ));
        assert!(matches!(
            Pattern::new("/[z-a]"),
            Err(GlobError::EmptyRange('z', 'a'))
        ));
        let close = Pattern::new("/[]a]").unwrap();
        assert!(close.matches(&RootPath::new("/]")) && !close.matches(&RootPath::new("/b")));
        let dash = Pattern::new("/[a-]").unwrap();
        assert!(dash.matches(&RootPath::new("/-")));
        assert!(!Pattern::new("/plain").unwrap().is_glob());
        // Exponential for a naive matcher.
        let slow = format!("/{}b", "a*".repeat(200));
        let name = format!("/{}", "a".repeat(5000));
        assert!(!Pattern::new(&slow).unwrap().matches(&RootPath::new(name)));
    }
}
