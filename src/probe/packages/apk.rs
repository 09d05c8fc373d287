//! apk's database: one file of paragraphs, `F:` a directory, `R:` a file in it, `Z:` its
//! checksum.

use super::sum::{Algorithm, Sum, base64};
use super::{PackageError, Visit, lines, read, recorded};
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
    walk(&installed(tree)?, &mut |name, item| {
        if name == package {
            let paths: &mut Vec<Vec<u8>> = found.get_or_insert_default();
            if let Item::Path(path) = item {
                paths.push(path.to_vec());
            }
        }
    });
    Ok(found)
}

pub(super) fn each(tree: &dyn Tree, visit: &mut Visit<'_>) -> Result<(), PackageError> {
    walk(&installed(tree)?, &mut |name, item| {
        if let Item::Path(path) = item {
            visit(name, path);
        }
    });
    Ok(())
}

/// What the packages recorded. A link has the checksum of where it leads: whoever compares looks
/// at regular files only.
pub(super) fn sums(
    tree: &dyn Tree,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut recorded::Visit<'_>,
) -> Result<(), PackageError> {
    walk(&installed(tree)?, &mut |name, item| {
        if let Item::Sum(path, sum) = item
            && wanted(name)
        {
            visit(name, path, sum);
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

/// A line that matters.
enum Item<'i> {
    /// A package begins; one without files is installed all the same.
    Package,
    /// A directory or a file of it.
    Path(&'i [u8]),
    /// The file last named, with its checksum.
    Sum(&'i [u8], Sum),
}

fn walk(bytes: &[u8], visit: &mut dyn FnMut(&str, Item<'_>)) {
    let mut package = String::new();
    let (mut directory, mut file) = (Vec::new(), Vec::new());
    let mut short = false;
    for line in lines(bytes) {
        let Some((kind, value)) = line.split_at_checked(2) else {
            continue;
        };
        match kind {
            b"P:" => {
                package = String::from_utf8_lossy(value).into_owned();
                directory.clear();
                file.clear();
                short = false;
                visit(&package, Item::Package);
            }
            b"f:" => short = value.contains(&b'S'),
            b"F:" => {
                directory = [b"/", value].concat();
                file.clear();
                visit(&package, Item::Path(&directory));
            }
            b"R:" => {
                // A file of the root itself has an empty directory.
                let base = directory.strip_suffix(b"/").unwrap_or(&directory);
                file = [base, b"/", value].concat();
                visit(&package, Item::Path(&file));
            }
            b"Z:" if !file.is_empty() => {
                if let Some(sum) = checksum(value, short) {
                    visit(&package, Item::Sum(&file, sum));
                }
            }
            _ => {}
        }
    }
}

/// `Q1` and base64 is SHA-1, `Q2` SHA-256, `X` instead of `Q` hexadecimal. apk 3 writes a SHA-256
/// as the twenty bytes that apk 2 has room for with the other twelve behind them; of a package
/// with the flag `S` only those twenty are known.
fn checksum(value: &[u8], short: bool) -> Option<Sum> {
    let (kind, digits) = value.split_at_checked(2)?;
    let bytes = match kind {
        b"Q1" if digits.len() == 44 => {
            let (head, tail) = digits.split_at(28);
            return Sum::new(Algorithm::Sha256, &[base64(head)?, base64(tail)?].concat());
        }
        b"Q1" | b"Q2" => base64(digits)?,
        b"X1" if digits.len() == 64 => return Sum::from_hex(Algorithm::Sha256, digits),
        b"X1" => return Sum::from_hex(Algorithm::Sha1, digits),
        b"X2" => return Sum::from_hex(Algorithm::Sha256, digits),
        _ => return None,
    };
    let algorithm = match kind {
        b"Q2" => Algorithm::Sha256,
        _ if short => Algorithm::Sha256Short,
        _ => Algorithm::Sha1,
    };
    Sum::new(algorithm, &bytes)
}
