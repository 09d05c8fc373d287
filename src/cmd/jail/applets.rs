//! The applets of a multi-call binary, read from the binary itself: busybox holds their names one
//! after the other, sorted, each ended by NUL, its own among them. Nothing is executed.

use std::os::unix::ffi::OsStrExt;

use super::content::Content;
use super::gather::{For, Gatherer};
use super::items;
use super::problem::Note;
use crate::model::RootPath;
use crate::plan::jail::{Made, MadeWhat};
use crate::root;

/// A static busybox with everything has 2 MiB.
const LIMIT: usize = 64 << 20;

/// Where applets belong that other programs expect there.
const DIRECTORY: &str = "/bin";

/// Plans a link for every applet of `program`; real programs of the jail keep their names.
pub(super) fn take(
    gatherer: &mut Gatherer<'_>,
    content: &mut Content,
    program: &str,
    by: &str,
    who: For,
) {
    let found = if program.contains('/') {
        Some(RootPath::new(program))
    } else {
        items::find(gatherer, program.as_ref())
    };
    let Some(path) = found else {
        return;
    };
    gatherer.program(&path, who);
    let names = root::read(gatherer.tree(), &path, LIMIT).map_or_else(
        |_| Vec::new(),
        |bytes| names(&bytes, path.file_name().map_or(b"", |name| name.as_bytes())),
    );
    if names.is_empty() {
        gatherer.notes.push(Note::Absent {
            what: format!("the list of applets in {path}"),
            by: by.to_owned(),
        });
    }
    for name in names {
        content.made.push(Made {
            path: RootPath::new(DIRECTORY).join(&name),
            what: MadeWhat::Link {
                target: path.as_path().to_path_buf(),
            },
            reason: by.into(),
            weak: true,
        });
    }
}

/// The sorted run of names around `own`; empty when there is none of at least four.
fn names(bytes: &[u8], own: &[u8]) -> Vec<String> {
    let mut needle = vec![0];
    needle.extend_from_slice(own);
    needle.push(0);
    let mut best: Vec<String> = Vec::new();
    let mut from = 0;
    while let Some(found) = find(&bytes[from..], &needle) {
        let at = from + found + 1;
        let run = run(bytes, at);
        if run.len() > best.len() {
            best = run;
        }
        from = at;
    }
    if best.len() < 4 { Vec::new() } else { best }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

fn run(bytes: &[u8], at: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut start = at;
    while let Some(name) = bytes.get(start..).and_then(ended).and_then(valid) {
        if out.last().is_some_and(|last| last.as_str() >= name) {
            break;
        }
        start += name.len() + 1;
        out.push(name.to_owned());
    }
    // And back from there.
    let mut end = at - 1;
    let mut first = out.first().cloned();
    let mut before = Vec::new();
    while let Some(begin) = bytes[..end].iter().rposition(|byte| *byte == 0) {
        let Some(name) = valid(&bytes[begin + 1..end]) else {
            break;
        };
        if first.as_deref().is_none_or(|first| name >= first) {
            break;
        }
        first = Some(name.to_owned());
        before.push(name.to_owned());
        end = begin;
    }
    before.reverse();
    before.append(&mut out);
    before
}

fn ended(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().take(64).position(|byte| *byte == 0)?;
    bytes.get(..end)
}

/// A name that can be an applet's: it becomes a file name.
fn valid(name: &[u8]) -> Option<&str> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"[_-+.".contains(byte);
    let dots = name == b"." || name == b"..";
    if name.is_empty() || dots || !name.iter().all(good) {
        return None;
    }
    std::str::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sorted_run_around_its_own_name_is_the_list() {
        let mut bytes =
            b"usage\0busybox\0zz\0\xbb\x82\0[\0[[\0ash\0busybox\0cat\0sh\0yes\0\0\0".to_vec();
        bytes.extend_from_slice(b"busybox\0");
        assert_eq!(
            names(&bytes, b"busybox"),
            ["[", "[[", "ash", "busybox", "cat", "sh", "yes"]
        );
        assert!(names(b"\0busybox\0..\0", b"busybox").is_empty());
        assert!(names(b"", b"busybox").is_empty());
    }
}
