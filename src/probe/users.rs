//! Which processes use the files of a directory, in whatever namespace they are: files are
//! compared by device and inode, not by name.

use std::collections::HashSet;
use std::path::PathBuf;

use rustix::fs::CWD;

use crate::model::{FileId, RootPath, pack_device};
use crate::root::{Host, Tree, read};
use crate::sys::fs::{read_link_at, stat_at};

/// A process and what it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUser {
    /// Its number.
    pub pid: i32,
    /// Its program, as it sees it; its short name when that may not be read.
    pub program: String,
    /// "its root directory", "a mapped file".
    pub how: &'static str,
}

/// Every process but the caller that has one of these files as root, working directory, program,
/// open file or mapped file. Processes that may not be looked at are passed over: a user cannot
/// see those of others.
#[must_use]
pub fn users_of(ids: &HashSet<FileId>) -> Vec<FileUser> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let names = Host.list(&RootPath::new("/proc")).unwrap_or_default();
    let pids = names
        .iter()
        .filter_map(|name| name.to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| {
            let how = use_by(pid, ids)?;
            let program = program(pid);
            Some(FileUser { pid, program, how })
        })
        .collect()
}

fn program(pid: i32) -> String {
    let exe = PathBuf::from(format!("/proc/{pid}/exe"));
    if let Ok(path) = read_link_at(CWD, &exe) {
        return path.display().to_string();
    }
    let comm = RootPath::new(format!("/proc/{pid}/comm"));
    let bytes = read(&Host, &comm, 4096).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn use_by(pid: i32, ids: &HashSet<FileId>) -> Option<&'static str> {
    let base = PathBuf::from(format!("/proc/{pid}"));
    // Following such a link leads to the file itself, through any namespace.
    let is_one = |path: &PathBuf| stat_at(CWD, path).is_ok_and(|meta| ids.contains(&meta.id));
    let links = [
        ("root", "its root directory is there"),
        ("cwd", "its working directory is there"),
        ("exe", "it was started from there"),
    ];
    for (name, how) in links {
        if is_one(&base.join(name)) {
            return Some(how);
        }
    }
    let fds = base.join("fd");
    let open = Host.list(&RootPath::new(&fds)).unwrap_or_default();
    if open.iter().any(|fd| is_one(&fds.join(fd))) {
        return Some("it has a file open there");
    }
    let maps = read(&Host, &RootPath::new(base.join("maps")), 16 << 20).unwrap_or_default();
    let mapped = maps
        .split(|byte| *byte == b'\n')
        .filter_map(mapped_file)
        .any(|id| ids.contains(&id));
    mapped.then_some("it has a file mapped from there")
}

/// Fields four and five of a line of /proc/PID/maps: `MAJOR:MINOR` in hexadecimal, the inode.
fn mapped_file(line: &[u8]) -> Option<FileId> {
    let text = String::from_utf8_lossy(line);
    let mut fields = text.split_ascii_whitespace().skip(3);
    let (major, minor) = fields.next()?.split_once(':')?;
    let inode = fields.next()?.parse().ok()?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    (inode != 0).then_some(FileId {
        device: pack_device(number(major)?, number(minor)?),
        inode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_names_its_file() {
        let line = b"7f0000000000-7f0000001000 r-xp 00000000 fe:01 1234  /usr/lib/x y";
        let expected = FileId {
            device: pack_device(0xfe, 1),
            inode: 1234,
        };
        assert_eq!(mapped_file(line), Some(expected));
        assert_eq!(mapped_file(b"7f00-7f01 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapped_file(b""), None);
    }

    #[test]
    fn a_child_that_works_in_a_directory_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let id = stat_at(CWD, directory.path()).unwrap().id;
        #[expect(clippy::disallowed_methods, reason = "a test's own child")]
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .current_dir(directory.path())
            .spawn()
            .unwrap();
        let found = users_of(&HashSet::from([id]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].how, "its working directory is there");
    }
}
