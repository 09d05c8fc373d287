//! The new tree becomes `/`, and the old root is unmounted.
//!
//! Plainly, mount by mount, the deepest first: a lazy unmount would hide what is still in use.
//! Only where a plain one is refused (in a user namespace the inherited mounts are locked) the
//! whole old root is detached at once.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::mounting::Mounting;
use crate::model::{MountFlags, MountLine, RootPath, parse_mountinfo};
use crate::plan::Mode;
use crate::root::{Host, InRoot, read};
use crate::sys::{self, SysError, SysResult};

/// The mounts of the old root, read before anything is changed.
#[derive(Debug)]
pub(super) struct OldRoot {
    mounts: Vec<PathBuf>,
    known: bool,
}

impl OldRoot {
    /// Reads mountinfo. Without /proc the old root can only be detached as a whole.
    pub(super) fn read() -> Self {
        let path = RootPath::new("/proc/self/mountinfo");
        let bytes = read(&Host, &path, 16 << 20);
        Self {
            known: bytes.is_ok(),
            mounts: deepest_first(&parse_mountinfo(&bytes.unwrap_or_default())),
        }
    }

    /// Makes the tree `/`.
    pub(super) fn leave(&self, mounting: &mut Mounting, mode: Mode) -> SysResult<()> {
        let original = mounting.take_original();
        let tree = mounting.tree()?;
        match mode {
            Mode::Chroot => {
                sys::ns::change_directory(tree.fd())?;
                sys::ns::change_root_here()?;
            }
            Mode::Pivot => {
                let root = open_root()?;
                sys::ns::change_directory(tree.fd())?;
                match sys::mount::pivot_here() {
                    Ok(()) => {
                        // It stands on a mount of the old root.
                        drop(original);
                        self.unmount(root)?;
                    }
                    Err(error) if error.errno == Errno::INVAL => {
                        drop(root);
                        pivot_from_stage(original, tree, &error)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        sys::ns::change_directory_to(Path::new("/"))
    }

    /// `root` is the only way left to the old root's names.
    fn unmount(&self, root: OwnedFd) -> SysResult<()> {
        sys::ns::change_directory(&root)?;
        let plain = self.known
            && self
                .mounts
                .iter()
                .all(|point| sys::mount::unmount(&Path::new(".").join(point), false).is_ok());
        // Nothing of ours may stand on it: neither the descriptor nor the working directory.
        drop(root);
        sys::ns::change_directory_to(Path::new("/"))?;
        if plain && sys::mount::unmount(Path::new("."), false).is_ok() {
            return Ok(());
        }
        sys::mount::unmount(Path::new("."), true)
    }
}

/// Where `/` is the initramfs (or no mount point at all) pivot_root(2) says EINVAL. A tmpfs is
/// mounted over it, the tree moves in there, and is pivoted to from there.
fn pivot_from_stage(original: Option<InRoot>, tree: &InRoot, why: &SysError) -> SysResult<()> {
    // Somewhere to mount it first: not `/`, which the tree covers.
    let place = match original {
        Some(root) => root,
        None => InRoot::from_fd(any_directory().ok_or_else(|| why.clone())?),
    };
    let flags = MountFlags::INERT;
    let stage = sys::mount::new_detached("tmpfs", "newroot", &[], flags)?;
    sys::mount::attach(&stage, place.fd())?;
    drop(place);
    let inside = Path::new("root");
    sys::file::make_directory(&stage, inside, 0o700)?;
    let target = sys::fs::open_directory_path(&stage, inside)
        .map_err(|error| SysError::from_io("openat", format_args!("{inside:?}"), &error))?;
    sys::mount::attach(tree.fd(), target)?;
    sys::mount::attach_over_root(&stage)?;
    sys::ns::change_directory(&stage)?;
    sys::ns::change_root_here()?;
    drop(stage);
    sys::ns::change_directory(tree.fd())?;
    sys::mount::pivot_here()?;
    sys::ns::change_directory_to(Path::new("/"))?;
    if sys::mount::unmount(Path::new("."), false).is_ok() {
        return Ok(());
    }
    sys::mount::unmount(Path::new("."), true)
}

/// A directory of the old root that every system has: for a jail that has no name of its own.
fn any_directory() -> Option<OwnedFd> {
    ["/run", "/proc", "/dev", "/tmp"]
        .iter()
        .find_map(|path| sys::fs::open_directory_path(CWD, Path::new(path)).ok())
}

fn open_root() -> SysResult<OwnedFd> {
    sys::fs::open_directory_path(CWD, Path::new("/"))
        .map_err(|error| SysError::from_io("openat", format_args!("\"/\""), &error))
}

/// The mount points below `/` as names from there, every mount before the one it is on.
fn deepest_first(lines: &[MountLine]) -> Vec<PathBuf> {
    let Some(root) = lines.iter().find(|line| line.point == Path::new("/")) else {
        return Vec::new();
    };
    // From the top one down: `above` holds what is left to visit.
    let mut order = Vec::new();
    let mut above = vec![root.id];
    while let Some(id) = above.pop() {
        for line in lines.iter().filter(|line| line.parent == id) {
            // A table that names itself as its own ancestor is no table of ours.
            if line.id == line.parent || order.len() > lines.len() {
                continue;
            }
            above.push(line.id);
            let name = line.point.strip_prefix("/").unwrap_or(&line.point);
            order.push(name.to_path_buf());
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mount_comes_before_the_one_it_is_on() {
        let text = b"1 0 8:1 / / rw - ext4 a rw\n2 1 0:2 / /dev rw - tmpfs b rw\n3 2 0:3 / /dev/pts rw - devpts c rw\n4 3 0:4 / /dev/pts rw - devpts c rw\n5 1 0:5 / /mnt rw - tmpfs d rw\n";
        let order = deepest_first(&parse_mountinfo(text));
        let at = |name: &str| {
            order
                .iter()
                .enumerate()
                .filter(|(_, point)| *point == Path::new(name))
                .map(|(place, _)| place)
                .collect::<Vec<_>>()
        };
        assert_eq!(order.len(), 4);
        assert!(at("dev/pts").iter().all(|place| *place < at("dev")[0]));
        assert_eq!(at("dev/pts").len(), 2);
    }

    #[test]
    fn a_table_that_goes_in_circles_ends() {
        let text = b"1 1 8:1 / / rw - ext4 a rw\n2 3 0:2 / /a rw - tmpfs b rw\n3 2 0:3 / /b rw - tmpfs c rw\n";
        assert!(deepest_first(&parse_mountinfo(text)).is_empty());
    }
}
