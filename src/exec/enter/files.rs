//! Files of the session's own filesystems. Nothing is ever written in the root itself.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use crate::model::{Kind, RootPath};
use crate::plan::FileOp;
use crate::root::InRoot;
use crate::sys::{self, SysError, SysResult};

/// Does one operation below `tree`, if its directory is on one of the filesystems `ours`.
pub(super) fn perform(op: &FileOp, tree: &InRoot, ours: &[u64]) -> SysResult<()> {
    match op {
        FileOp::MakeDir { path, mode, .. } => {
            let (directory, name) = parent(tree, path, ours)?;
            match sys::file::make_directory(&directory, name, *mode) {
                // As `mkdir -p` has it.
                Err(error) if error.errno == Errno::EXIST && is_directory(&directory, name) => {
                    Ok(())
                }
                done => done,
            }
        }
        FileOp::Write { path, bytes, mode } => {
            let (directory, name) = parent(tree, path, ours)?;
            let file = sys::file::create_new(&directory, name, *mode)?;
            sys::file::write_all(file, bytes)
        }
        FileOp::Symlink { path, target } => {
            let (directory, name) = parent(tree, path, ours)?;
            rustix::fs::symlinkat(target, &directory, name).map_err(|errno| {
                SysError::new("symlinkat", format_args!("{target:?}, {path}"), errno)
            })
        }
        FileOp::Node {
            path,
            kind,
            major,
            minor,
            mode,
        } => {
            let (directory, name) = parent(tree, path, ours)?;
            let file_type = if *kind == Kind::BlockDevice {
                FileType::BlockDevice
            } else {
                FileType::CharacterDevice
            };
            let device = rustix::fs::makedev(*major, *minor);
            let mode = Mode::from_raw_mode(*mode);
            rustix::fs::mknodat(&directory, name, file_type, mode, device).map_err(|errno| {
                SysError::new("mknodat", format_args!("{path}, {major}:{minor}"), errno)
            })
        }
        FileOp::Copy { .. }
        | FileOp::HardLink { .. }
        | FileOp::Finish { .. }
        | FileOp::Replace { .. }
        | FileOp::Manifest { .. }
        | FileOp::Pending { .. }
        | FileOp::Remove { .. }
        | FileOp::RemoveDir { .. } => Err(SysError::new(
            "enter",
            format_args!("{}: no such operation here", op.path()),
            Errno::NOTSUP,
        )),
    }
}

fn parent<'p>(
    tree: &InRoot,
    path: &'p RootPath,
    ours: &[u64],
) -> SysResult<(std::os::fd::OwnedFd, &'p Path)> {
    let fail = |error: std::io::Error| SysError::from_io("openat2", format_args!("{path}"), &error);
    let (directory, name) = tree.parent_of(path).map_err(fail)?;
    let meta = sys::fs::meta_of_fd(&directory).map_err(fail)?;
    if ours.contains(&meta.id.device) {
        return Ok((directory, name));
    }
    // Whatever was swapped under us: this would have been a write into somebody's files.
    Err(SysError::new(
        "openat2",
        format_args!("{path}: not on a filesystem of this session"),
        Errno::XDEV,
    ))
}

fn is_directory(directory: impl AsFd, name: &Path) -> bool {
    sys::fs::lstat_at(directory, name).is_ok_and(|meta| meta.kind == Kind::Directory)
}
