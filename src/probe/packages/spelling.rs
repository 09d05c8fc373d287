//! One spelling for paths that a merged `/usr` gives two of: dpkg lists `/bin/ls` where the file
//! is `/usr/bin/ls`, and Fedora 42 lists `/usr/sbin/x` where it is `/usr/bin/x`.

use std::borrow::Cow;

use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// Directories that distributions have turned into links while packages still list them.
const CANDIDATES: [&str; 13] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/sbin",
    "/usr/lib64",
    "/usr/bin",
    "/usr/lib",
    "/var/run",
    "/var/lock",
    "/var/mail",
];

/// The links of one root, as prefixes with their final slash.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelling {
    prefixes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Spelling {
    pub(super) fn of(tree: &dyn Tree) -> Self {
        let mut prefixes = Vec::new();
        for name in CANDIDATES {
            let path = RootPath::new(name);
            let link = tree.lstat(&path).is_ok_and(|meta| meta.kind == Kind::Link);
            if let (true, Ok(real)) = (link, root::canonical(tree, &path)) {
                let slash = |path: &RootPath| [path.as_bytes(), b"/"].concat();
                prefixes.push((slash(&path), slash(&real)));
            }
        }
        Self { prefixes }
    }

    /// Whether this is one of the links of a merged `/usr` themselves: packages list them as the
    /// directories that they were, and none brought the link. Those in `/var` are a package's.
    pub(super) fn is_link(&self, path: &[u8]) -> bool {
        let links = self.prefixes.iter().map(|(from, _)| from);
        !path.starts_with(b"/var/")
            && links
                .filter_map(|from| from.split_last())
                .any(|(_, link)| link == path)
    }

    /// `/usr/bin/ls` for `/bin/ls`; a path that is spelled right is not copied. The link itself
    /// (`/bin`) keeps its name.
    pub(super) fn of_path<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        for (from, to) in &self.prefixes {
            if let Some(rest) = path.strip_prefix(from.as_slice()) {
                return Cow::Owned([to, rest].concat());
            }
        }
        Cow::Borrowed(path)
    }
}
