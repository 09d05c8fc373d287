//! What a package database recorded of a file's content, and whether the file still has it.

use md5::{Digest, Md5};

use super::{lines, read};
use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// No program is longer; such a file is not compared.
const LONGEST: u64 = 1 << 30;

/// A file against its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It has the recorded content.
    Holds,
    /// It has other content.
    Differs,
    /// It is not there, or no regular file.
    Gone,
    /// The database records no checksum for it, or one of a kind that is not read.
    Unknown,
}

/// Compares `path` with what dpkg recorded for `package` (`/var/lib/dpkg/info/PACKAGE.md5sums`).
pub(super) fn dpkg(tree: &dyn Tree, package: &str, path: &RootPath, spelled: &[&[u8]]) -> Record {
    let Ok(file) = tree.open(path) else {
        return Record::Gone;
    };
    let Ok(meta) = file.meta() else {
        return Record::Gone;
    };
    if meta.kind != Kind::File {
        return Record::Gone;
    }
    let Some(wanted) = recorded(tree, package, spelled).filter(|_| meta.size <= LONGEST) else {
        return Record::Unknown;
    };
    let mut sum = Md5::new();
    let mut buffer = vec![0; 256 << 10];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => break,
            Ok(count) => {
                sum.update(&buffer[..count]);
                at += count as u64;
            }
            Err(_) => return Record::Differs,
        }
    }
    let have: String = sum
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if have.as_bytes() == wanted {
        Record::Holds
    } else {
        Record::Differs
    }
}

/// The checksum of one of these spellings, without the first slash.
fn recorded(tree: &dyn Tree, package: &str, spelled: &[&[u8]]) -> Option<Vec<u8>> {
    let info = RootPath::new("/var/lib/dpkg/info");
    let names = tree.list(&info).ok()?;
    let with_arch = format!("{package}:");
    let file = names.iter().filter_map(|name| name.to_str()).find(|name| {
        name.strip_suffix(".md5sums")
            .is_some_and(|stem| stem == package || stem.starts_with(&with_arch))
    })?;
    let text = read(tree, &info.join(file)).ok()??;
    lines(&text).find_map(|line| {
        let (sum, path) = entry(line)?;
        let same = spelled
            .iter()
            .any(|spelling| spelling.strip_prefix(b"/").unwrap_or(spelling) == path);
        same.then(|| sum.to_vec())
    })
}

/// `SUM  PATH`, the path without its first slash.
pub(super) fn entry(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sum, rest) = line.split_at_checked(32)?;
    let path = rest
        .strip_prefix(b"  ")
        .or_else(|| rest.strip_prefix(b" *"))?;
    sum.iter().all(u8::is_ascii_hexdigit).then_some((sum, path))
}
