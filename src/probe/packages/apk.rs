//! apk's database: one file of paragraphs, `F:` a directory, `R:` a file in it.

use super::{PackageError, Visit, lines, read};
use crate::model::RootPath;
use crate::root::{Tree, is_file};

/// apk-tools 2 and 3.
const INSTALLED: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

pub(super) fn present(tree: &dyn Tree) -> bool {
    INSTALLED
        .iter()
        .any(|path| is_file(tree, &RootPath::new(path)))
}

pub(super) fn files_of(
    tree: &dyn Tree,
    package: &str,
) -> Result<Option<Vec<Vec<u8>>>, PackageError> {
    let mut found = None;
    walk(&installed(tree)?, &mut |name, path| {
        if name == package {
            let paths: &mut Vec<Vec<u8>> = found.get_or_insert_default();
            paths.extend(path.map(<[u8]>::to_vec));
        }
    });
    Ok(found)
}

pub(super) fn each(tree: &dyn Tree, visit: &mut Visit<'_>) -> Result<(), PackageError> {
    walk(&installed(tree)?, &mut |name, path| {
        if let Some(path) = path {
            visit(name, path);
        }
    });
    Ok(())
}

fn installed(tree: &dyn Tree) -> Result<Vec<u8>, PackageError> {
    for path in INSTALLED {
        if let Some(bytes) = read(tree, &RootPath::new(path))? {
            return Ok(bytes);
        }
    }
    Ok(Vec::new())
}

/// Calls once with no path for each package (one without files is installed all the same), then
/// with each of its paths.
fn walk(bytes: &[u8], visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
    let mut package = String::new();
    let mut directory = Vec::new();
    for line in lines(bytes) {
        let Some((kind, value)) = line.split_at_checked(2) else {
            continue;
        };
        match kind {
            b"P:" => {
                package = String::from_utf8_lossy(value).into_owned();
                directory.clear();
                visit(&package, None);
            }
            b"F:" => {
                directory = [b"/", value].concat();
                visit(&package, Some(&directory));
            }
            b"R:" => {
                let path = [&directory, &b"/"[..], value].concat();
                // A file of the root itself has an empty directory.
                visit(
                    &package,
                    Some(
                        path.strip_prefix(b"/")
                            .filter(|rest| rest.starts_with(b"/"))
                            .unwrap_or(&path),
                    ),
                );
            }
            _ => {}
        }
    }
}
