//! Who still uses what a session made: processes outside of it that joined its mount namespace,
//! or stand on a filesystem that only it had mounted.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use serde::Serialize;

use crate::model::{Kind, RootPath};
use crate::root::{Host, Tree, read};
use crate::sys;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// The inodes of the session's mount namespaces.
    pub mount_namespaces: Vec<u64>,
    /// Filesystems that only the session mounted (`st_dev`).
    pub devices: Vec<u64>,
    /// Block devices of the session (`st_rdev`): who has their nodes open.
    pub nodes: Vec<u64>,
}

/// A process that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its number, as the caller sees it.
    pub pid: i32,
    /// Its program, as its own root names it; empty when it cannot be read.
    pub program: PathBuf,
    /// What it holds: "mount namespace", "working directory", "open file 3" …
    pub how: String,
}

/// Looks at every process but the caller. What may not be looked at (other users' processes, for
/// a user) cannot hold what is the user's own.
#[must_use]
pub fn find_holders(traces: &Traces) -> Vec<Holder> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let names = Host.list(&RootPath::new("/proc")).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| name.to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let how = how_held(pid, traces)?;
            let exe = PathBuf::from(format!("/proc/{pid}/exe"));
            let program = sys::fs::read_link_at(CWD, &exe).unwrap_or_default();
            Some(Holder { pid, program, how })
        })
        .collect()
}

fn how_held(pid: i32, traces: &Traces) -> Option<String> {
    if sys::ns::inode(pid, "mnt").is_ok_and(|inode| traces.mount_namespaces.contains(&inode)) {
        return Some(String::from("mount namespace"));
    }
    let base = PathBuf::from(format!("/proc/{pid}"));
    for (name, how) in [("cwd", "working directory"), ("root", "root directory")] {
        if stands_on(&base.join(name), traces) {
            return Some(how.to_owned());
        }
    }
    let fds = RootPath::new(base.join("fd"));
    for fd in Host.list(&fds).unwrap_or_default() {
        let path = fds.as_path().join(&fd);
        if stands_on(&path, traces) || is_namespace(&path, traces) || is_node(&path, traces) {
            return Some(format!("open file {}", fd.to_string_lossy()));
        }
    }
    maps_file(&base.join("maps"), traces).then(|| String::from("mapped file"))
}

fn stands_on(path: &Path, traces: &Traces) -> bool {
    // Following the link of /proc leads to the very file, whatever its name was.
    !traces.devices.is_empty()
        && sys::fs::stat_at(CWD, path).is_ok_and(|meta| traces.devices.contains(&meta.id.device))
}

fn is_node(path: &Path, traces: &Traces) -> bool {
    !traces.nodes.is_empty()
        && sys::fs::stat_at(CWD, path)
            .is_ok_and(|meta| meta.kind == Kind::BlockDevice && traces.nodes.contains(&meta.rdev))
}

fn is_namespace(path: &Path, traces: &Traces) -> bool {
    sys::fs::read_link_at(CWD, path).is_ok_and(|target| {
        let is = |inode: &u64| target == Path::new(&format!("mnt:[{inode}]"));
        traces.mount_namespaces.iter().any(is)
    })
}

/// The fourth field of a line of maps is the device, in hexadecimal.
fn maps_file(path: &Path, traces: &Traces) -> bool {
    if traces.devices.is_empty() {
        return false;
    }
    let bytes = read(&Host, &RootPath::new(path), 4 << 20).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().any(|line| {
        let device = line.split_ascii_whitespace().nth(3).and_then(|field| {
            let (major, minor) = field.split_once(':')?;
            let major = u32::from_str_radix(major, 16).ok()?;
            let minor = u32::from_str_radix(minor, 16).ok()?;
            Some(crate::model::pack_device(major, minor))
        });
        device.is_some_and(|device| device != 0 && traces.devices.contains(&device))
    })
}
