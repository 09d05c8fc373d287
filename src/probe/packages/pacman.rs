//! pacman's database: `/var/lib/pacman/local/NAME-VERSION-RELEASE/files`, and `mtree` beside it
//! with the checksums.

use std::io::{BufRead as _, BufReader, Read as _};

use super::sum::{Algorithm, Sum};
use super::{PackageError, Visit, lines, list, read, recorded};
use crate::model::{Kind, RootPath, unescape_octal};
use crate::root::Tree;

const LOCAL: &str = "/var/lib/pacman/local";
/// Unpacked; the largest packages have 20 MiB.
const LONGEST_MTREE: u64 = 256 << 20;
/// A path of PATH_MAX, every byte as four, and what is said of it.
const LONGEST_LINE: u64 = 32 << 10;

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

/// What the packages recorded. A `mtree` that cannot be unpacked says nothing beyond the place.
pub(super) fn sums(
    tree: &dyn Tree,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut recorded::Visit<'_>,
) -> Result<(), PackageError> {
    let local = RootPath::new(LOCAL);
    for entry in list(tree, &local)? {
        let Some(package) = name(&entry).filter(|package| wanted(package)) else {
            continue;
        };
        let packed = read(tree, &local.join(&entry).join("mtree"))?.unwrap_or_default();
        mtree(&packed, &mut |path, sum| visit(package, path, sum));
    }
    Ok(())
}

/// mtree(5), gzipped, as bsdtar writes it for makepkg: `./PATH key=value ...`, and `/set key=value`
/// for the lines that follow. A blank in a path is `\040`.
fn mtree(packed: &[u8], visit: &mut dyn FnMut(&[u8], Sum)) {
    let text = flate2::read::GzDecoder::new(packed).take(LONGEST_MTREE);
    let mut text = BufReader::new(text);
    let mut default = b"file".to_vec();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut text).take(LONGEST_LINE).read_until(b'\n', &mut line);
        // A line without its end was cut off.
        if read.is_err() || line.pop() != Some(b'\n') {
            return;
        }
        entry(&line, &mut default, visit);
    }
}

/// One line; `default` is what `/set` said last.
fn entry(line: &[u8], default: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8], Sum)) {
    let mut words = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return;
    };
    let (mut kind, mut sum) = (None, None);
    for word in words {
        let equals = word.iter().position(|byte| *byte == b'=');
        match equals.map(|at| word.split_at(at + 1)) {
            Some((b"type=", value)) => kind = Some(value),
            Some((b"sha256digest=" | b"sha256=", hex)) => {
                sum = Sum::from_hex(Algorithm::Sha256, hex).or(sum);
            }
            Some((b"md5digest=" | b"md5=", hex)) => {
                sum = sum.or_else(|| Sum::from_hex(Algorithm::Md5, hex));
            }
            _ => {}
        }
    }
    if first == b"/set" {
        *default = kind.map_or_else(|| default.clone(), <[u8]>::to_vec);
        return;
    }
    let Some(path) = first
        .strip_prefix(b".")
        .filter(|path| path.starts_with(b"/"))
    else {
        return;
    };
    // The package's own files (.BUILDINFO, .INSTALL) are not installed.
    let own = path.starts_with(b"/.") && !path[1..].contains(&b'/');
    if let Some(sum) = sum
        && !own
        && kind.unwrap_or(default) == b"file"
    {
        visit(&unescape_octal(path), sum);
    }
}
