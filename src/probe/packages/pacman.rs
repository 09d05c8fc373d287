//! pacman's database: `/var/lib/pacman/local/NAME-VERSION-RELEASE/files`.

use super::{PackageError, Visit, lines, list, read};
use crate::model::{Kind, RootPath};
use crate::root::Tree;

const LOCAL: &str = "/var/lib/pacman/local";

pub(super) fn present(tree: &dyn Tree) -> bool {
    let local = tree.stat(&RootPath::new(LOCAL));
    local.is_ok_and(|meta| meta.kind == Kind::Directory)
}

pub(super) fn files_of(
    tree: &dyn Tree,
    package: &str,
) -> Result<Option<Vec<Vec<u8>>>, PackageError> {
    let local = RootPath::new(LOCAL);
    for entry in list(tree, &local)? {
        if name(&entry) == Some(package) {
            let bytes = read(tree, &local.join(&entry).join("files"))?;
            return Ok(Some(paths(&bytes.unwrap_or_default()).collect()));
        }
    }
    Ok(None)
}

pub(super) fn each(tree: &dyn Tree, visit: &mut Visit<'_>) -> Result<(), PackageError> {
    let local = RootPath::new(LOCAL);
    for entry in list(tree, &local)? {
        let Some(package) = name(&entry) else {
            continue;
        };
        let bytes = read(tree, &local.join(&entry).join("files"))?;
        for path in paths(&bytes.unwrap_or_default()) {
            visit(package, &path);
        }
    }
    Ok(())
}

/// `gcc-libs` of `gcc-libs-13.2.1-3`: neither version nor release may hold a dash.
fn name(entry: &str) -> Option<&str> {
    let (rest, _release) = entry.rsplit_once('-')?;
    let (name, _version) = rest.rsplit_once('-')?;
    Some(name)
}

/// The section `%FILES%`: paths without the first slash, directories with a last one.
fn paths(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut inside = false;
    lines(bytes).filter_map(move |line| {
        if line.starts_with(b"%") && line.ends_with(b"%") {
            inside = line == b"%FILES%";
            return None;
        }
        let path = line.strip_suffix(b"/").unwrap_or(line);
        inside.then(|| [b"/", path].concat())
    })
}
