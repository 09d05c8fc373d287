//! A small file that a session makes in a target for the time being, and takes away again.
//!
//! Its whole content identifies it: what somebody changed meanwhile is his. When newroot dies,
//! the mount that the file was made through is gone with the session's namespace, so the record
//! says on which filesystem it lies as well.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::ExecError;
use super::sessions::Fate;
use crate::model::{HostPath, Kind, MountFlags, RootPath, parse_mountinfo};
use crate::root::{self, Host, InRoot, Tree, canonical};
use crate::session::{Item, ItemId, Live, Record};
use crate::sys::loopdev::{self, LoopDevice};
use crate::sys::{self, SysError, SysResult};

/// How long what is just ending may keep a filesystem.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longer files are none of ours.
const LONGEST: usize = 4096;

/// Makes `path` with this content, if there is nothing and there can be something. `None`: it was
/// there already, its directory is not, or nothing can be written.
///
/// # Errors
/// Those of the record; a full disk.
pub fn put(
    root: &HostPath,
    path: &RootPath,
    content: &str,
    mode: u32,
    live: &mut Live,
) -> Result<Option<ItemId>, ExecError> {
    let cannot =
        |error: &std::io::Error| SysError::from_io("openat2", format_args!("{path}"), error);
    let tree = InRoot::open(root).map_err(|error| cannot(&error))?;
    let Ok(directory) = canonical(&tree, &path.parent()) else {
        return Ok(None);
    };
    let (Some(name), Err(_)) = (path.file_name(), tree.lstat(path)) else {
        return Ok(None);
    };
    let real = directory.join(name);
    let (source, fstype, inside) = filesystem_of(&root.show_inside(&real));
    let id = live
        .plan(Item::TargetFile {
            root: root.as_path().to_path_buf(),
            path: real.as_path().to_path_buf(),
            content: content.to_owned(),
            source,
            fstype,
            inside,
            fsid: tree.handle(&directory).map_or(0, fsid_of),
        })
        .map_err(|error| ExecError::Other(error.to_string()))?;
    match write(&tree, &real, content, mode) {
        Ok(()) => {
            live.done(id)
                .map_err(|error| ExecError::Other(error.to_string()))?;
            Ok(Some(id))
        }
        Err(error) => {
            remove(&tree, &real, content)?;
            live.forget(id)
                .map_err(|error| ExecError::Other(error.to_string()))?;
            match error.errno {
                Errno::EXIST | Errno::NOENT | Errno::ROFS | Errno::ACCESS | Errno::PERM => Ok(None),
                _ => Err(error.into()),
            }
        }
    }
}

/// Takes it away again.
///
/// # Errors
/// Why it stays; the record keeps it then.
pub fn take_away(live: &mut Live, id: ItemId) -> Result<(), ExecError> {
    let planned = live.record().items.iter().find(|planned| planned.id == id);
    let Some(Item::TargetFile {
        root,
        path,
        content,
        ..
    }) = planned.map(|planned| planned.item.clone())
    else {
        return Ok(());
    };
    let tree = InRoot::open(&HostPath::new(&root))
        .map_err(|error| SysError::from_io("openat", format_args!("{root:?}"), &error))?;
    remove(&tree, &RootPath::new(path), &content)?;
    live.forget(id)
        .map_err(|error| ExecError::Other(error.to_string()))
}

fn write(tree: &InRoot, path: &RootPath, content: &str, mode: u32) -> SysResult<()> {
    let (directory, name) = tree
        .parent_of(path)
        .map_err(|error| SysError::from_io("openat2", format_args!("{path}"), &error))?;
    let file = sys::file::create_new(&directory, name, mode)?;
    sys::file::set_mode(&file, mode)?;
    sys::file::write_all(&file, content.as_bytes())
}

/// Whether it was there. A beginning of the content counts as ours too: newroot may have died
/// while it wrote.
fn remove(tree: &InRoot, path: &RootPath, content: &str) -> SysResult<bool> {
    let Ok((directory, name)) = tree.parent_of(path) else {
        return Ok(false);
    };
    let is_file = sys::fs::lstat_at(&directory, name).is_ok_and(|meta| meta.kind == Kind::File);
    let bytes = if is_file {
        root::read(tree, path, LONGEST).ok()
    } else {
        None
    };
    match bytes {
        Some(bytes) if content.as_bytes().starts_with(&bytes) => {
            sys::file::unlink(&directory, name).map(|()| true)
        }
        _ => Ok(false),
    }
}

/// The source and type of the filesystem that a path of the host lies on, and the path in it.
fn filesystem_of(path: &Path) -> (PathBuf, String, PathBuf) {
    let table = root::read(&Host, &RootPath::new("/proc/self/mountinfo"), 16 << 20);
    let lines = parse_mountinfo(&table.unwrap_or_default());
    let holds = lines.iter().filter(|line| path.starts_with(&line.point));
    // Of several with the longest name the last one is on top.
    let line = holds.max_by_key(|line| line.point.components().count());
    line.map_or_else(Default::default, |line| {
        let rest = path.strip_prefix(&line.point).unwrap_or(path);
        (
            line.source.clone(),
            line.fstype.clone(),
            line.inside.join(rest),
        )
    })
}

/// Of a dead session: by its name, else on its filesystem, which is mounted for a moment where
/// nobody sees it.
pub(super) fn undo(item: &Item, record: &Record) -> Fate {
    let Item::TargetFile {
        root,
        path,
        content,
        inside,
        ..
    } = item
    else {
        return Fate::Nothing;
    };
    let shown = HostPath::new(root).show_inside(&RootPath::new(path));
    let undone = || Fate::Undone(format!("removed {}", shown.display()));
    let by_name = InRoot::open(&HostPath::new(root))
        .ok()
        .map(|tree| remove(&tree, &RootPath::new(path), content));
    match by_name {
        Some(Ok(true)) => return undone(),
        Some(Err(error)) => return Fate::Failed(error.into()),
        Some(Ok(false)) | None => {}
    }
    let again = Again::open(item, record);
    match again.and_then(|again| match again {
        Some(again) => remove(&again.tree, &RootPath::new(inside), content),
        None => Ok(false),
    }) {
        Ok(true) => undone(),
        Ok(false) => Fate::Nothing,
        Err(error) => Fate::Failed(error.into()),
    }
}

/// The filesystem of a file, mounted once more.
struct Again {
    tree: InRoot,
    /// What it lies on, where that is a loop device of the session.
    _device: Behind,
}

/// What is behind a node of a dead session.
enum Behind {
    /// The node itself.
    Node,
    /// A loop device that somebody else has open still. It is held, or it would go with that user
    /// while it is mounted (EIO).
    Held(#[expect(dead_code, reason = "held open")] OwnedFd),
    /// A loop device that was made again.
    Made(LoopDevice),
}

impl Again {
    /// `None` where it is none on a device, or the device carries another filesystem by now.
    fn open(item: &Item, record: &Record) -> SysResult<Option<Self>> {
        let Item::TargetFile {
            source,
            fstype,
            fsid,
            ..
        } = item
        else {
            return Ok(None);
        };
        let device = device_behind(source, record)?;
        let node = match &device {
            Behind::Made(device) => &device.path,
            Behind::Node | Behind::Held(_) => source,
        };
        let is_device =
            sys::fs::stat_at(CWD, node).is_ok_and(|meta| meta.kind == Kind::BlockDevice);
        let Some(name) = node.to_str().filter(|_| is_device) else {
            return Ok(None);
        };
        // Looked at first, without a replay: nothing is written to a filesystem of others.
        let look = once_free(|| {
            let options = options(fstype, false);
            sys::mount::new_detached(fstype, name, &options, MountFlags::INERT.read_only())
        })?;
        let found = fsid_of(&look);
        drop(look);
        if found != *fsid {
            return Ok(None);
        }
        let mount = once_free(|| {
            sys::mount::new_detached(fstype, name, &options(fstype, true), MountFlags::INERT)
        })?;
        Ok(Some(Self {
            tree: InRoot::from_fd(mount),
            _device: device,
        }))
    }
}

/// The namespaces of a process that was killed take their mounts down some time after it: as long
/// as one of them has the filesystem otherwise than it is wanted, the kernel says EBUSY.
fn once_free(mut mount: impl FnMut() -> SysResult<OwnedFd>) -> SysResult<OwnedFd> {
    let until = Instant::now() + PATIENCE;
    loop {
        match mount() {
            Err(error) if error.errno == Errno::BUSY && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// A loop device of the session is gone with its last user: it is made again.
fn device_behind(source: &Path, record: &Record) -> SysResult<Behind> {
    let of_session = record.items.iter().find_map(|planned| match &planned.item {
        Item::Loop {
            device,
            file,
            offset,
        } if device == source => Some((file, *offset)),
        _ => None,
    });
    let Some((file, offset)) = of_session else {
        return Ok(Behind::Node);
    };
    let held = sys::block::open(source).ok();
    if let Some(held) = held.filter(|_| shows(source, file)) {
        return Ok(Behind::Held(held));
    }
    let open = sys::block::open_to_write(file)?;
    loopdev::attach(&open, offset, 0, file, false).map(Behind::Made)
}

/// Whether a loop device is still that of the file.
fn shows(device: &Path, file: &Path) -> bool {
    let id = sys::fs::stat_at(CWD, file).ok().map(|meta| meta.id);
    let shown = loopdev::backing(device);
    id.is_some_and(|id| shown == Some((id.device, id.inode)))
}

fn options(fstype: &str, replay: bool) -> Vec<(String, Option<String>)> {
    let mut options = Vec::new();
    if fstype == "btrfs" {
        // mountinfo counts from the topmost subvolume.
        options.push((String::from("subvolid"), Some(String::from("5"))));
    }
    let without = match fstype {
        "ext3" | "ext4" => Some(("noload", None)),
        "xfs" => Some(("norecovery", None)),
        "btrfs" => Some(("rescue", Some("nologreplay"))),
        _ => None,
    };
    if let (false, Some((key, value))) = (replay, without) {
        options.push((key.to_owned(), value.map(str::to_owned)));
    }
    options
}

/// What statvfs(3) tells filesystems apart by; 0 where it does not.
fn fsid_of(fd: impl AsFd) -> u64 {
    rustix::fs::fstatvfs(fd).map_or(0, |facts| facts.f_fsid)
}
