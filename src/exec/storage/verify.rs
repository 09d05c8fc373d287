//! Whether what was taken away is really gone, and who holds what is not.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::exec::{Holder, Traces, find_holders};
use crate::model::{MountLine, RootPath, parse_mountinfo};
use crate::root::{Host, Tree, read};
use crate::session::MountIdentity;
use crate::sys;
use crate::tool::{Tool, run};

/// How often something is looked at again: udev opens a device for a moment when it changes.
const TRIES: u32 = 20;
/// How many seconds more programs get that only look at a device.
const MORE_ROUNDS: u32 = 5;

/// Whether `done` becomes true within about a second.
pub(super) fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    for attempt in 0..TRIES {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5 * u64::from(attempt)));
    }
    done()
}

/// Waits until udev has done with what was just made or taken away. Without udev there is
/// nothing to wait for.
pub fn settle() {
    if has_udev() {
        let tool = Tool::new("udevadm", "udev").args(["settle", "--timeout=10"]);
        // A udev that does not settle is no reason to stop: the kernel says what is busy.
        run(&tool).ok();
    }
}

/// Whether a udev runs here.
pub(in crate::exec) fn has_udev() -> bool {
    fs::symlink_metadata("/run/udev/control").is_ok()
}

/// As [`wait_until`], for what goes with the last program that looks at it: udev's are waited for.
pub(super) fn wait_for_lookers(mut done: impl FnMut() -> bool) -> bool {
    if wait_until(&mut done) {
        return true;
    }
    settle();
    (0..MORE_ROUNDS).any(|_| wait_until(&mut done))
}

/// Whether nobody claims `device` any more (open(2) with O_EXCL). A device that went is free.
pub(super) fn is_free(device: &Path) -> bool {
    wait_until(|| match sys::block::open_exclusive(device) {
        Err(error) => error.errno != Errno::BUSY,
        Ok(_) => true,
    })
}

/// What is with a device after our mount of it is gone.
#[derive(Debug)]
pub(super) enum Claim {
    /// Nobody claims it.
    Free,
    /// Somebody else does something of their own with it; who, for people.
    Theirs(String),
    /// Its filesystem is still in use, or nobody knows better.
    Ours(Vec<Holder>),
}

/// Asks whether `node` is free; `devices` are the numbers that its filesystem had.
pub(super) fn claim(node: &Path, devices: &[u64]) -> Claim {
    if is_free(node) {
        return Claim::Free;
    }
    let shown = node.display();
    if is_mounted(node) {
        return Claim::Theirs(format!("{shown} is mounted by somebody else"));
    }
    let holders = holders(devices, Some(node));
    if !holders.is_empty() {
        return Claim::Ours(holders);
    }
    if let Some(opener) = openers(node).first() {
        let program = opener.program.display();
        let pid = opener.pid;
        return Claim::Theirs(format!("{shown} is in use by process {pid} ({program})"));
    }
    match built_upon(node) {
        Some(name) => Claim::Theirs(format!(
            "{shown} carries {name}, which newroot did not make"
        )),
        None => Claim::Ours(Vec::new()),
    }
}

/// Who has the node of a device open.
pub(super) fn openers(node: &Path) -> Vec<Holder> {
    let mut found = find_holders(&Traces {
        nodes: number_of(node).into_iter().collect(),
        ..Traces::default()
    });
    show_paths(&mut found);
    found
}

/// A device that lies upon `node`, by the kernel's name.
fn built_upon(node: &Path) -> Option<String> {
    let number = number_of(node)?;
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let holders = RootPath::new(format!("/sys/dev/block/{major}:{minor}/holders"));
    let names = Host.list(&holders).ok()?;
    Some(names.first()?.to_string_lossy().into_owned())
}

/// The mounts of this process's namespace.
pub(super) fn table() -> Vec<MountLine> {
    table_of("/proc/self/mountinfo")
}

fn table_of(path: &str) -> Vec<MountLine> {
    let bytes = read(&Host, &RootPath::new(path), 16 << 20).unwrap_or_default();
    parse_mountinfo(&bytes)
}

/// Every mount point of this process's namespace.
#[must_use]
pub fn mount_points() -> Vec<PathBuf> {
    table().into_iter().map(|line| line.point).collect()
}

/// Mount points at `path` and below, the deepest last: what stands on the topmost mount there.
/// What that mount hides is not among them.
pub(super) fn mounts_below(path: &Path) -> Vec<PathBuf> {
    let table = table();
    let Some(top) = table.iter().rfind(|line| line.point == path) else {
        return Vec::new();
    };
    let mut found = vec![top];
    let mut at = 0;
    while let Some(line) = found.get(at) {
        let id = line.id;
        found.extend(
            table
                .iter()
                .filter(|other| other.parent == id && other.id != id),
        );
        at += 1;
        // A table that goes in circles is no table of the kernel's.
        if found.len() > table.len() {
            break;
        }
    }
    found.into_iter().map(|line| line.point.clone()).collect()
}

/// Who uses one of these filesystems (`st_dev`): processes that stand on it, and those in other
/// mount namespaces that have it mounted.
pub(super) fn holders(devices: &[u64], node: Option<&Path>) -> Vec<Holder> {
    let mut devices = devices.to_vec();
    if let Some(number) = node.and_then(number_of) {
        devices.push(number);
    }
    let mut found = find_holders(&Traces {
        devices: devices.clone(),
        ..Traces::default()
    });
    found.extend(elsewhere(&devices));
    let mut seen = BTreeSet::new();
    found.retain(|holder| seen.insert(holder.pid));
    show_paths(&mut found);
    found
}

fn show_paths(holders: &mut [Holder]) {
    for holder in holders {
        if let Some(path) = held_path(holder) {
            holder.how = format!("{} {}", holder.how, path.display());
        }
    }
}

/// The very file or directory that is held, where /proc has a name for it.
fn held_path(holder: &Holder) -> Option<PathBuf> {
    let link = match holder.how.as_str() {
        "working directory" => "cwd".to_string(),
        "root directory" => "root".to_string(),
        how => format!("fd/{}", how.strip_prefix("open file ")?),
    };
    let link = PathBuf::from(format!("/proc/{}/{link}", holder.pid));
    sys::fs::read_link_at(rustix::fs::CWD, &link).ok()
}

pub(super) fn number_of(node: &Path) -> Option<u64> {
    sys::fs::stat_at(rustix::fs::CWD, node)
        .ok()
        .map(|meta| meta.rdev)
}

/// Those in other mount namespaces that have it mounted, and do not lose it with us: udev's and
/// logind's own namespaces are slaves of the host's.
fn elsewhere(devices: &[u64]) -> Vec<Holder> {
    let ours: Vec<u64> = table()
        .iter()
        .filter(|line| devices.contains(&line.device))
        .filter_map(|line| line.shared)
        .collect();
    let follows = |line: &MountLine| {
        let groups = [line.shared, line.master];
        groups.iter().flatten().any(|group| ours.contains(group))
    };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut seen: BTreeSet<u64> = sys::ns::inode(own, "mnt").into_iter().collect();
    let mut found = Vec::new();
    for name in Host.list(&RootPath::new("/proc")).unwrap_or_default() {
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(namespace) = sys::ns::inode(pid, "mnt") else {
            continue;
        };
        if !seen.insert(namespace) {
            continue;
        }
        let table = table_of(&format!("/proc/{pid}/mountinfo"));
        let holds = |line: &MountLine| devices.contains(&line.device) && !follows(line);
        if table.iter().any(holds) {
            let exe = PathBuf::from(format!("/proc/{pid}/exe"));
            found.push(Holder {
                pid,
                program: sys::fs::read_link_at(rustix::fs::CWD, &exe).unwrap_or_default(),
                how: "mounted in its mount namespace".to_string(),
            });
        }
    }
    found
}

/// `st_dev` of what stands at `path`.
pub(super) fn device_at(path: &Path) -> Option<u64> {
    let meta = sys::fs::stat_at(rustix::fs::CWD, path).ok()?;
    Some(meta.id.device)
}

/// What a mount is known by, attached or not.
pub(super) fn identity(mount: &OwnedFd) -> MountIdentity {
    let device = sys::fs::meta_of_fd(mount).map(|meta| meta.id.device);
    MountIdentity {
        number: sys::fs::mount_id(mount).unwrap_or_default(),
        unique: sys::fs::unique_mount_id(mount).unwrap_or_default(),
        device: device.unwrap_or_default(),
        namespace: sys::ns::inode_of_this("mnt").unwrap_or_default(),
    }
}

/// Whether the topmost mount at `path` is that one.
pub(super) fn is_at(path: &Path, wanted: &MountIdentity) -> bool {
    sys::fs::open_path(rustix::fs::CWD, path).is_ok_and(|top| identity(&top) == *wanted)
}

/// Whether this node is mounted somewhere in this mount namespace.
pub(super) fn is_mounted(node: &Path) -> bool {
    let number = number_of(node);
    let is_it = |line: &MountLine| Some(line.device) == number || line.source == node;
    table().iter().any(is_it)
}
