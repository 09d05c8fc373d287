//! Mounts of a target: made detached, attached to descriptors that were resolved inside the
//! target, so that no link and nobody who swaps directories leads one out of it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::verify::Claim;
use super::{Parts, Storage, recorded, shown, verify};
use crate::exec::ExecError;
use crate::model::{HostPath, Kind, MountFlags, RootPath};
use crate::plan::StorageOp;
use crate::plan::storage::{Mounted, What};
use crate::root::{InRoot, Tree, canonical};
use crate::session::{Item, ItemId};
use crate::sys::loopdev::{self, LoopDevice};
use crate::sys::mount::{self, FsOption, Propagation};
use crate::sys::{self, SysError, SysResult, block};
use crate::tool::{Tool, run_well};

/// A mount of this session.
#[derive(Debug)]
pub(super) struct Made {
    mounted: Mounted,
    /// Which of its places it has.
    point: RootPath,
    /// Where it is, seen from this process.
    at: PathBuf,
    /// Its filesystem's numbers: mountinfo's, and that of its files (btrfs has two).
    devices: Vec<u64>,
    /// The device it lies on.
    node: Option<PathBuf>,
    item: Option<ItemId>,
    shield: Option<LoopDevice>,
}

/// Where something is mounted.
struct Target {
    handle: OwnedFd,
    at: PathBuf,
    point: RootPath,
}

pub(super) fn point_of(mounts: &[Made], mounted: &Mounted) -> Option<RootPath> {
    let made = mounts.iter().find(|made| made.mounted == *mounted)?;
    Some(made.point.clone())
}

pub(super) fn make_root(storage: &mut Storage<'_>, path: &HostPath) -> Result<(), ExecError> {
    let item = Item::MountPoint {
        path: path.as_path().to_path_buf(),
    };
    let id = storage.live.plan(item).map_err(recorded)?;
    if let Err(error) = sys::file::make_directory(CWD, path.as_path(), 0o755) {
        storage.live.forget(id).map_err(recorded)?;
        return Err(error.into());
    }
    storage.live.done(id).map_err(recorded)?;
    storage.remember(StorageOp::RemoveRoot(path.clone()), id);
    Ok(())
}

pub(super) fn remove_root(storage: &mut Storage<'_>, path: &HostPath) -> Result<(), ExecError> {
    match sys::file::remove_directory(CWD, path.as_path()) {
        Err(error) if error.errno != Errno::NOENT => return Err(error.into()),
        _ => {}
    }
    storage.forget(&StorageOp::RemoveRoot(path.clone()))
}

pub(super) fn mount(
    storage: &mut Storage<'_>,
    mounted: &Mounted,
    base: &HostPath,
) -> Result<(), ExecError> {
    let (made, shield) = make(storage.parts, mounted)?;
    let target = place(storage.parts, mounted, base, made.as_ref())?;
    let node = match &mounted.what {
        What::Device { device, .. } => Some(device.clone()),
        _ => None,
    };
    let source = match &mounted.what {
        What::Network { source, .. } => PathBuf::from(source),
        _ => node.clone().unwrap_or_default(),
    };
    let identity = made.as_ref().map(verify::identity);
    let mut item = Item::Mount {
        path: target.at.clone(),
        device: 0,
        source,
        identity: identity.unwrap_or_default(),
    };
    let id = if mounted.lasting {
        Some(storage.live.plan(item.clone()).map_err(recorded)?)
    } else {
        None
    };
    let attached = attach(mounted, made, target.handle, &target.at);
    let made = match attached {
        Ok(made) => made,
        Err(error) => {
            if let Some(id) = id {
                storage.live.forget(id).map_err(recorded)?;
            }
            return Err(error);
        }
    };
    let (at, devices) = whereabouts(&made, target.at);
    if let (Item::Mount { path, device, .. }, Some(id)) = (&mut item, id) {
        path.clone_from(&at);
        *device = devices.first().copied().unwrap_or_default();
        storage.live.done_as(id, item).map_err(recorded)?;
    }
    storage.parts.mounts.push(Made {
        mounted: mounted.clone(),
        point: target.point,
        at,
        devices,
        node,
        item: id,
        shield,
    });
    if mounted.point() == RootPath::root() {
        let parts = &mut *storage.parts;
        parts.physical = parts.root.take();
        parts.root = Some(InRoot::from_fd(made));
    }
    Ok(())
}

/// The mount, attached nowhere; `None` where mount(8) has to make it.
fn make(
    parts: &mut Parts,
    mounted: &Mounted,
) -> Result<(Option<OwnedFd>, Option<LoopDevice>), ExecError> {
    let clone = |root: Option<&InRoot>, from: &RootPath| -> Result<OwnedFd, ExecError> {
        let root = root.ok_or_else(nothing_mounted)?;
        let handle = root
            .handle(from)
            .map_err(|error| no_mount_point(&from.to_string(), sys::errno_of(&error)))?;
        let clone = mount::clone_detached(handle, false)?;
        restrict(&clone, mounted.flags, false)?;
        Ok(clone)
    };
    let made = match &mounted.what {
        What::Device {
            device,
            driver,
            options,
            essential,
            shield,
            ..
        } => {
            let shield = shield.then(|| shielded(device)).transpose()?;
            let source = shield.as_ref().map_or(device, |shield| &shield.path);
            let flags = mounted.flags;
            let made = filesystem(driver, source, flags, options, essential, &mut parts.notes)?;
            return Ok((Some(made), shield));
        }
        What::Deployment(from) | What::Bind(from) => clone(parts.root.as_ref(), from)?,
        What::Physical(from) => clone(parts.physical.as_ref(), from)?,
        What::Adopted(from) => {
            let directory = sys::fs::open_directory_path(CWD, from.as_path())
                .map_err(|error| failed_open(from.as_path(), &error))?;
            let clone = mount::clone_detached(directory, true)?;
            mount::propagate(&clone, Propagation::Private, true)?;
            restrict(&clone, mounted.flags, true)?;
            clone
        }
        What::Network { .. } => return Ok((None, None)),
    };
    Ok((Some(made), None))
}

fn restrict(clone: &OwnedFd, flags: MountFlags, recursive: bool) -> SysResult<()> {
    if flags == MountFlags::default() {
        return Ok(());
    }
    mount::forbid(clone, flags, recursive)
}

/// The device's own read-only switch would outlive us if we died.
fn shielded(device: &Path) -> SysResult<LoopDevice> {
    let file = block::open(device)?;
    loopdev::attach_read_only(&file, 0, 0, device)
}

/// Mounts detached. A driver that does not know an option of fstab is asked again without those
/// that are not essential; a btrfs to look into, without the device it lacks.
fn filesystem(
    driver: &str,
    source: &Path,
    flags: MountFlags,
    options: &[FsOption],
    essential: &[FsOption],
    notes: &mut Vec<String>,
) -> SysResult<OwnedFd> {
    let name = source.to_string_lossy();
    let try_with = |options: &[FsOption]| mount::new_detached(driver, &name, options, flags);
    let first = try_with(options);
    let Err(error) = &first else {
        return first;
    };
    if error.errno == Errno::INVAL
        && options != essential
        && let Ok(made) = try_with(essential)
    {
        notes.push(format!(
            "{name}: mounted without some of its options ({driver} refuses one of them)"
        ));
        return Ok(made);
    }
    if driver == "btrfs" && flags.read_only {
        let mut degraded = essential.to_vec();
        degraded.push(("degraded".to_string(), None));
        if let Ok(made) = try_with(&degraded) {
            notes.push(format!("{name}: a device of this btrfs is missing"));
            return Ok(made);
        }
        // Before Linux 5.9 the word for it was another one.
        for option in &mut degraded {
            if option.0 == "rescue" {
                *option = ("nologreplay".to_string(), None);
            }
        }
        return try_with(&degraded).or(first);
    }
    first
}

/// Finds the place inside the target.
fn place(
    parts: &Parts,
    mounted: &Mounted,
    base: &HostPath,
    made: Option<&OwnedFd>,
) -> Result<Target, ExecError> {
    if mounted.point() == RootPath::root() {
        let handle = sys::fs::open_directory_path(CWD, base.as_path())
            .map_err(|error| failed_open(base.as_path(), &error))?;
        return Ok(Target {
            handle,
            at: base.as_path().to_path_buf(),
            point: RootPath::root(),
        });
    }
    let root = parts.root.as_ref().ok_or_else(nothing_mounted)?;
    let kind = made
        .and_then(|made| sys::fs::meta_of_fd(made).ok())
        .map_or(Kind::Directory, |meta| meta.kind);
    let mut why = no_mount_point(&shown(base, &mounted.point()), Errno::NOENT);
    for point in &mounted.points {
        match candidate(root, point, kind, mounted.only_empty) {
            Ok(handle) => {
                // Where it really is, for the record: links in it are resolved.
                let real = canonical(root, point).unwrap_or_else(|_| point.clone());
                return Ok(Target {
                    handle,
                    at: base.show_inside(&real),
                    point: point.clone(),
                });
            }
            Err(errno) => why = no_mount_point(&shown(base, point), errno),
        }
    }
    Err(why)
}

fn candidate(
    root: &InRoot,
    point: &RootPath,
    kind: Kind,
    only_empty: bool,
) -> Result<OwnedFd, Errno> {
    let errno = |error: std::io::Error| sys::errno_of(&error);
    let handle = root.handle(point).map_err(errno)?;
    let meta = sys::fs::meta_of_fd(&handle).map_err(errno)?;
    let fits = matches!(kind, Kind::Directory | Kind::File) && meta.kind == kind;
    if !fits {
        return Err(Errno::NOTDIR);
    }
    // A link that leads back to `/`: what is mounted there would hide the target.
    let top = sys::fs::meta_of_fd(root.fd()).map_err(errno)?;
    if top.id == meta.id {
        return Err(Errno::LOOP);
    }
    if only_empty && !root.list(point).map_err(errno)?.is_empty() {
        return Err(Errno::NOTEMPTY);
    }
    Ok(handle)
}

fn attach(
    mounted: &Mounted,
    made: Option<OwnedFd>,
    target: OwnedFd,
    at: &Path,
) -> Result<OwnedFd, ExecError> {
    if let Some(made) = made {
        mount::attach(&made, target)?;
        return Ok(made);
    }
    let What::Network {
        source,
        kind,
        options,
    } = &mounted.what
    else {
        return Err(nothing_mounted());
    };
    use std::os::fd::AsRawFd;
    let own = rustix::process::getpid().as_raw_nonzero();
    let name = format!("/proc/{own}/fd/{}", target.as_raw_fd());
    let tool =
        Tool::new("mount", "util-linux").args(["-t", kind, "-o", options, "--", source, &name]);
    run_well(&tool).map_err(|error| ExecError::Other(error.to_string()))?;
    drop(target);
    // The name that the place really has: no link of the target is followed.
    sys::fs::open_directory_path(CWD, at).map_err(|error| {
        mount::unmount(at, false).ok();
        failed_open(at, &error).into()
    })
}

/// Where mountinfo shows it, and under which numbers.
fn whereabouts(made: &OwnedFd, expected: PathBuf) -> (PathBuf, Vec<u64>) {
    let mut at = expected;
    let mut devices = Vec::new();
    if let Ok(id) = sys::fs::mount_id(made.as_fd())
        && let Some(line) = verify::table().into_iter().find(|line| line.id == id)
    {
        at = line.point;
        devices.push(line.device);
    }
    if let Ok(meta) = sys::fs::meta_of_fd(made) {
        devices.push(meta.id.device);
    }
    devices.dedup();
    (at, devices)
}

pub(super) fn unmount(storage: &mut Storage<'_>, mounted: &Mounted) -> Result<(), ExecError> {
    let mounts = &storage.parts.mounts;
    let Some(at) = mounts.iter().rposition(|made| made.mounted == *mounted) else {
        return Ok(());
    };
    if mounted.point() == RootPath::root() {
        // Our own descriptors would keep it busy.
        storage.parts.root = storage.parts.physical.take();
        if !matches!(mounted.what, What::Deployment(_)) {
            storage.parts.root = None;
        }
    }
    let made = &storage.parts.mounts[at];
    if matches!(mounted.what, What::Adopted(_)) {
        take_copies(&made.at)?;
    } else {
        take_away(&made.at, &made.devices, made.node.as_deref())
            .map_err(|busy| remember(storage.parts, busy))?;
    }
    let made = storage.parts.mounts.remove(at);
    drop(made.shield);
    if let Some(id) = made.item {
        storage.live.forget(id).map_err(recorded)?;
    }
    let Some(node) = made.node else {
        return Ok(());
    };
    if storage
        .parts
        .mounts
        .iter()
        .any(|other| other.node.as_ref() == Some(&node))
    {
        return Ok(());
    }
    match verify::claim(&node, &made.devices) {
        Claim::Free => storage.parts.freed.push(made.mounted.shown),
        Claim::Theirs(who) => storage.parts.taken.push(who),
        Claim::Ours(holders) => {
            let what = format!("{} is still in use", node.display());
            return Err(remember(storage.parts, Busy { what, holders }));
        }
    }
    Ok(())
}

pub(super) fn remember(parts: &mut Parts, busy: Busy) -> ExecError {
    for holder in &busy.holders {
        if !parts.holders.iter().any(|known| known.pid == holder.pid) {
            parts.holders.push(holder.clone());
        }
    }
    ExecError::Other(busy.what)
}

/// Something that somebody holds.
pub(super) struct Busy {
    pub(super) what: String,
    pub(super) holders: Vec<crate::exec::Holder>,
}

impl Busy {
    fn of(path: &Path, devices: &[u64], node: Option<&Path>) -> Self {
        Self {
            what: format!("{} is still in use", path.display()),
            holders: verify::holders(devices, node),
        }
    }
}

/// Unmounts what is at `at`, plainly: a lazy unmount would hide who uses it. What is not there any
/// more somebody else took away.
pub(super) fn take_away(at: &Path, devices: &[u64], node: Option<&Path>) -> Result<(), Busy> {
    let table = verify::table();
    let Some(top) = table.iter().rfind(|line| line.point == at) else {
        return Ok(());
    };
    if !devices.is_empty() && !devices.contains(&top.device) {
        let what = format!("something else is mounted over {}", at.display());
        return Err(Busy {
            what,
            holders: Vec::new(),
        });
    }
    let mut last = None;
    let gone = verify::wait_until(|| match mount::unmount(at, false) {
        Ok(()) => true,
        Err(error) => {
            let absent = matches!(error.errno, Errno::INVAL | Errno::NOENT);
            last = Some(error);
            absent
        }
    });
    if gone {
        return Ok(());
    }
    let below: Vec<String> = verify::mounts_below(at)
        .iter()
        .filter(|point| point.as_path() != at)
        .map(|point| point.display().to_string())
        .collect();
    let mut busy = Busy::of(at, devices, node);
    if !below.is_empty() {
        busy.what = format!("{}: also mounted there: {}", busy.what, below.join(", "));
    } else if busy.holders.is_empty()
        && let Some(error) = last
    {
        busy.what = format!("{}: {error}", busy.what);
    }
    Err(busy)
}

/// Private copies of somebody's mounts, the deepest first.
fn take_copies(at: &Path) -> SysResult<()> {
    let mut points = verify::mounts_below(at);
    points.reverse();
    points
        .iter()
        .try_for_each(|point| mount::unmount(point, false))
}

fn failed_open(path: &Path, error: &std::io::Error) -> SysError {
    SysError::from_io("openat", format_args!("{path:?}"), error)
}

fn no_mount_point(shown: &str, errno: Errno) -> ExecError {
    ExecError::NoMountPoint {
        shown: shown.to_string(),
        errno,
    }
}

fn nothing_mounted() -> ExecError {
    ExecError::Other("the root is not mounted".to_string())
}
