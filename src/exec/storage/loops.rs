//! Parts of files and disks as loop devices.

use std::path::Path;

use super::mounts::{self, Busy};
use super::{Storage, recorded, verify};
use crate::exec::ExecError;
use crate::plan::StorageOp;
use crate::plan::storage::LoopPart;
use crate::session::Item;
use crate::sys::block;
use crate::sys::loopdev::{self, LoopDevice};

/// A loop device of this session.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) part: LoopPart,
    pub(super) device: LoopDevice,
}

pub(super) fn attach(storage: &mut Storage<'_>, part: &LoopPart) -> Result<(), ExecError> {
    let mut item = Item::Loop {
        device: std::path::PathBuf::new(),
        file: part.file.clone(),
        offset: part.start,
    };
    let id = storage.live.plan(item.clone()).map_err(recorded)?;
    let made = open(part)
        .and_then(|file| loopdev::attach(&file, part.start, part.size, &part.file, part.read_only));
    let device = match made {
        Ok(device) => device,
        Err(error) => {
            storage.live.forget(id).map_err(recorded)?;
            return Err(error.into());
        }
    };
    if let Item::Loop { device: node, .. } = &mut item {
        node.clone_from(&device.path);
    }
    storage.live.done_as(id, item).map_err(recorded)?;
    storage.remember(StorageOp::Detach(part.clone()), id);
    storage.parts.loops.push(Attached {
        part: part.clone(),
        device,
    });
    Ok(())
}

fn open(part: &LoopPart) -> crate::sys::SysResult<std::os::fd::OwnedFd> {
    if part.read_only {
        block::open(&part.file)
    } else {
        block::open_to_write(&part.file)
    }
}

/// Lets it go; it is gone with its last user, and there must be none.
pub(super) fn detach(storage: &mut Storage<'_>, part: &LoopPart) -> Result<(), ExecError> {
    let loops = &mut storage.parts.loops;
    let Some(at) = loops.iter().position(|attached| attached.part == *part) else {
        return Ok(());
    };
    let path = loops.remove(at).device.path;
    if let Err(busy) = gone(&path, &part.file) {
        return Err(mounts::remember(storage.parts, busy));
    }
    storage.forget(&StorageOp::Detach(part.clone()))
}

/// Waits until the device at `path` shows `file` no more: an AUTOCLEAR device goes by itself, with
/// the last program that looks at it. Its number may be somebody else's by then.
pub(super) fn gone(path: &Path, file: &Path) -> Result<(), Busy> {
    if verify::wait_for_lookers(|| !loopdev::is_bound_to(path, file).unwrap_or(false)) {
        return Ok(());
    }
    let mut holders = verify::holders(&[], Some(path));
    holders.extend(verify::openers(path));
    Err(Busy {
        what: format!("{} ({}) is still in use", path.display(), file.display()),
        holders,
    })
}
