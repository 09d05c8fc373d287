//! The two kinds of path that must never be mixed: one on the host, one inside a root.
//!
//! Purely textual: nothing here touches a file system, so `..` and links are left alone
//! ([`crate::root`] resolves them).

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A path in the caller's own mount namespace; relative ones count from the working directory.
/// A clone shares the text: every step of a plan names the root it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(Arc<Path>);

impl HostPath {
    /// Takes a path as it was typed or found on the host.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::from(path.into()))
    }

    /// The path for the standard library's and the kernel's calls.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// `self/name`; an absolute `name` is put below `self` all the same.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self(Arc::from(
            self.0.join(name.strip_prefix("/").unwrap_or(name)),
        ))
    }

    /// Where `inside` is found on the host when `self` is the root. For showing only: links are
    /// not resolved, so nothing may be opened by this name.
    #[must_use]
    pub fn show_inside(&self, inside: &RootPath) -> PathBuf {
        match inside.relative() {
            here if here == Path::new(".") => self.0.to_path_buf(),
            below => self.0.join(below),
        }
    }

    /// The same as a path for later; where `self` is `/` the text is shared.
    #[must_use]
    pub fn shown_inside(&self, inside: &RootPath) -> Self {
        if *self.0 == *Path::new("/") {
            Self(Arc::clone(&inside.0))
        } else {
            Self::new(self.show_inside(inside))
        }
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl AsRef<Path> for HostPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// A path inside a root: always absolute, `/` being that root. May hold `..` and links.
///
/// A clone shares the text: one library stands in hundreds of closures. Compared and hashed as
/// [`Path`] is, component by component, but without parsing what the bytes decide.
#[derive(Clone, Debug)]
pub struct RootPath(Arc<Path>);

impl RootPath {
    /// Takes a path inside a root; a relative one is taken from `/`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        if path.is_absolute() {
            Self(Arc::from(path))
        } else {
            Self(Arc::from(Path::new("/").join(path)))
        }
    }

    /// From raw bytes, as ELF files and caches hold them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        if bytes.first() == Some(&b'/') {
            return Self(Arc::from(Path::new(OsStr::from_bytes(bytes))));
        }
        let mut absolute = Vec::with_capacity(bytes.len() + 1);
        absolute.push(b'/');
        absolute.extend_from_slice(bytes);
        Self(Arc::from(Path::new(OsStr::from_bytes(&absolute))))
    }

    /// The root itself, `/`.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(Path::new("/")))
    }

    /// The absolute path, as seen by a program whose `/` is the root.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The bytes of the path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_os_str().as_bytes()
    }

    /// The path without its leading slashes, as the `*at` calls want it; `.` for the root.
    #[must_use]
    pub fn relative(&self) -> &Path {
        let rest = self.0.strip_prefix("/").unwrap_or(&self.0);
        if rest.as_os_str().is_empty() {
            Path::new(".")
        } else {
            rest
        }
    }

    /// `self/name`, the way a string is extended: no `..` is folded.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        let joined = self.0.join(name.strip_prefix("/").unwrap_or(name));
        Self(Arc::from(joined))
    }

    /// The textual directory part; `/` for `/x` and `/`.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self(Arc::from(self.0.parent().unwrap_or_else(|| Path::new("/"))))
    }

    /// The last component; `None` for `/` and for a path that ends in `..`.
    #[must_use]
    pub fn file_name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// Textual prefix test on whole components.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }

    /// Folds `.`, doubled slashes and `..` as text. Right only where no component is a link.
    #[must_use]
    pub fn normalized(&self) -> Self {
        use std::path::Component;
        let mut out = PathBuf::from("/");
        for part in self.0.components() {
            match part {
                Component::ParentDir => {
                    out.pop();
                }
                Component::Normal(name) => out.push(name),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Self(Arc::from(out))
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Ord for RootPath {
    fn cmp(&self, other: &Self) -> Ordering {
        by_bytes(self.as_bytes(), other.as_bytes()).unwrap_or_else(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for RootPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RootPath {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for RootPath {}

impl Hash for RootPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes = self.as_bytes();
        if is_plain(bytes) {
            bytes.hash(state);
        } else {
            // Equal paths hash alike: as the one of them that has nothing to leave out.
            let plain: PathBuf = self.0.components().collect();
            plain.as_os_str().as_bytes().hash(state);
        }
    }
}

/// Whether no slash is doubled, the last, or before a name that begins with a dot. Every pair of
/// bytes is looked at, for the compiler to take sixteen at once.
fn is_plain(path: &[u8]) -> bool {
    let pairs = path.iter().zip(path.iter().skip(1));
    let odd = pairs.fold(path.last() == Some(&b'/'), |odd, (first, second)| {
        odd | ((*first == b'/') & ((*second == b'/') | (*second == b'.')))
    });
    !odd
}

/// The order of two absolute paths, where their first difference decides it; `None` where it may
/// be no difference: a doubled or last slash, a `.`.
fn by_bytes(left: &[u8], right: &[u8]) -> Option<Ordering> {
    let at = common(left, right);
    let (next_left, next_right) = (left.get(at), right.get(at));
    if next_left.is_none() && next_right.is_none() {
        return Some(Ordering::Equal);
    }
    let may_be_nothing = |next: Option<&u8>| matches!(next, None | Some(b'/' | b'.'));
    if !may_be_nothing(next_left) && !may_be_nothing(next_right) {
        return Some(next_left.cmp(&next_right));
    }
    let shared = left[..at].rsplit(|byte| *byte == b'/').next()?;
    if matches!(shared, b"" | b"." | b"..") {
        return None;
    }
    let goes_on = |path: &[u8]| !may_be_nothing(path.get(at + 1));
    match (next_left, next_right) {
        (None, Some(b'/')) => goes_on(right).then_some(Ordering::Less),
        (Some(b'/'), None) => goes_on(left).then_some(Ordering::Greater),
        // A name that ends comes before one that goes on, whatever byte it goes on with.
        (None | Some(b'/'), _) => Some(Ordering::Less),
        (_, None | Some(b'/')) => Some(Ordering::Greater),
        (left, right) => Some(left.cmp(&right)),
    }
}

/// How many bytes two texts begin with alike. Paths share long beginnings: eight bytes at a time.
fn common(left: &[u8], right: &[u8]) -> usize {
    let (eights_left, eights_right) = (left.chunks_exact(8), right.chunks_exact(8));
    let alike = |(left, right): &(&[u8], &[u8])| left == right;
    let skipped = 8 * eights_left.zip(eights_right).take_while(alike).count();
    let rest = left[skipped..].iter().zip(&right[skipped..]);
    skipped + rest.take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn root_paths_are_ordered_and_hashed_as_paths(
            left in "(/|a|b|-|\\.){0,8}",
            right in "(/|a|b|-|\\.){0,8}",
        ) {
            use std::hash::{BuildHasher as _, RandomState};
            let (left, right) = (RootPath::new(left), RootPath::new(right));
            let wanted = left.as_path().cmp(right.as_path());
            proptest::prop_assert_eq!(left.cmp(&right), wanted);
            let state = RandomState::new();
            if left == right {
                proptest::prop_assert_eq!(state.hash_one(&left), state.hash_one(&right));
            }
        }
    }

    #[test]
    fn root_paths_are_absolute_and_extend_below_themselves() {
        assert_eq!(RootPath::new("usr/bin").as_path(), Path::new("/usr/bin"));
        assert_eq!(RootPath::new("/a").join("/b").as_path(), Path::new("/a/b"));
        assert_eq!(RootPath::root().relative(), Path::new("."));
        assert_eq!(RootPath::from_bytes(b"lib/x").as_bytes(), b"/lib/x");
        assert_eq!(
            RootPath::new("/a/./b/../../../c").normalized().as_path(),
            Path::new("/c")
        );
    }

    #[test]
    fn host_paths_show_where_a_root_path_lies() {
        let host = HostPath::new("/mnt");
        assert_eq!(
            host.show_inside(&RootPath::new("/etc/fstab")),
            Path::new("/mnt/etc/fstab")
        );
    }
}
