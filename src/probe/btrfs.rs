//! The subvolumes of a btrfs: which there are, which is the default, which are snapshots.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::model::RootPath;
use crate::root::{InRoot, Tree};
use crate::sys::{btrfs, fs};

/// More subvolumes than are ever looked at (a snapshot an hour for years).
pub const MOST_SUBVOLUMES: usize = 4096;
/// The inode of the top directory of every subvolume (BTRFS_FIRST_FREE_OBJECTID).
const TOP_INODE: u64 = 256;
/// Number of the top level.
pub const TOP_LEVEL: u64 = 5;

/// One subvolume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subvolume {
    /// Its number.
    pub id: u64,
    /// Its path from the top level; `/` for the top level itself.
    pub path: RootPath,
    /// It refuses writes.
    pub read_only: bool,
    /// Made as a snapshot of another one.
    pub snapshot: bool,
}

/// All subvolumes below `top`, the top level first, then by path.
#[must_use]
pub fn subvolumes(top: &InRoot) -> Vec<Subvolume> {
    let mut found = Vec::new();
    let mut pending = vec![RootPath::root()];
    while let Some(path) = pending.pop() {
        if found.len() == MOST_SUBVOLUMES {
            break;
        }
        let Ok(directory) = readable(top, &path) else {
            continue;
        };
        let Ok(info) = btrfs::subvol_info(&directory) else {
            continue;
        };
        // A number that was seen before would be a loop; a filesystem may be made to have one.
        if found.iter().any(|known: &Subvolume| known.id == info.id) {
            continue;
        }
        pending.extend(children(top, &path, &directory));
        found.push(Subvolume {
            id: info.id,
            path,
            read_only: info.read_only,
            snapshot: info.parent_uuid != [0; 16],
        });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The number of the subvolume that `root` is.
#[must_use]
pub fn id_of(root: &InRoot) -> Option<u64> {
    let directory = readable(root, &RootPath::root()).ok()?;
    btrfs::subvol_info(directory).ok().map(|info| info.id)
}

/// The paths of the subvolumes directly inside the one at `path`: the kernel says which
/// directories hold some, and there a subvolume is what has inode 256.
fn children(top: &InRoot, path: &RootPath, directory: &OwnedFd) -> Vec<RootPath> {
    let mut directories = Vec::new();
    let mut from = 0;
    while let Ok(batch) = btrfs::subvol_children(directory, from) {
        let Some((last, _)) = batch.last() else {
            break;
        };
        from = last.saturating_add(1);
        for (_, inode) in batch {
            if !directories.contains(&inode) {
                directories.push(inode);
            }
        }
        if directories.len() > MOST_SUBVOLUMES {
            break;
        }
    }
    let mut found = Vec::new();
    for inode in directories {
        let Ok(bytes) = btrfs::directory_path(directory, inode) else {
            continue;
        };
        let holder = path.join(RootPath::from_bytes(&bytes).relative());
        let holder = if bytes.is_empty() {
            path.clone()
        } else {
            holder
        };
        for name in top.list(&holder).unwrap_or_default() {
            let inside = holder.join(&name);
            let is_top = top
                .lstat(&inside)
                .is_ok_and(|meta| meta.id.inode == TOP_INODE);
            if is_top {
                found.push(inside);
            }
        }
    }
    found
}

/// The ioctls want a descriptor that may read, not an O_PATH handle.
fn readable(top: &InRoot, path: &RootPath) -> std::io::Result<OwnedFd> {
    let handle = top.handle(path)?;
    fs::open_directory(handle, Path::new("."))
}
