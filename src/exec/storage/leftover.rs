//! What a dead session left of its storage, taken apart by its record.

use std::path::Path;

use super::{arrays, groups, mounts, settle, stack, verify};
use crate::exec::ExecError;
use crate::exec::sessions::Fate;
use crate::session::{Item, State};
use crate::sys::loopdev;

/// Undoes one item.
pub(in crate::exec) fn undo(item: &Item, state: State) -> Fate {
    if state == State::Planned {
        let word = match item {
            Item::Array { name, .. } => format!("/dev/md/{name}"),
            Item::Group { uuid, .. } => format!("vg_uuid={uuid}"),
            _ => String::new(),
        };
        stack::wait_for_tools(&word);
    }
    settle();
    match item {
        Item::Loop { device, file, .. } => let_go(device, file),
        Item::Array { name, uuid } => match arrays::stop_array(uuid) {
            Ok(true) => Fate::Undone(format!("stopped the array {name}")),
            Ok(false) => Fate::Nothing,
            Err(error) => Fate::Failed(ExecError::Other(error.to_string())),
        },
        Item::Group { name, .. } => match groups::deactivate_group(item) {
            Ok(true) => Fate::Undone(format!("deactivated the group {name}")),
            Ok(false) => Fate::Nothing,
            Err(error) => Fate::Failed(ExecError::Other(error.to_string())),
        },
        Item::Mount {
            path,
            device,
            source,
        } => unmount(path, *device, source, state),
        _ => Fate::Nothing,
    }
}

/// An AUTOCLEAR device goes by itself; one that is there all the same has a user.
fn let_go(device: &Path, file: &Path) -> Fate {
    // Its number may be somebody else's by now: only on this very file it is ours.
    let bound =
        || !device.as_os_str().is_empty() && loopdev::is_bound_to(device, file).unwrap_or(false);
    if verify::wait_until(|| !bound()) {
        return Fate::Nothing;
    }
    let holders = verify::holders(&[], Some(device));
    if holders.is_empty() {
        let what = format!("{} is still in use", device.display());
        return Fate::Failed(ExecError::Other(what));
    }
    Fate::Held(holders)
}

/// `device` is 0 when the process died between attaching the mount and writing that down: then
/// only what is mounted from the very source counts.
fn unmount(path: &Path, device: u64, source: &Path, state: State) -> Fate {
    let has_source = !source.as_os_str().is_empty();
    let node = has_source.then_some(source);
    let table = verify::table();
    let top = table.iter().rfind(|line| line.point == path);
    let mut undone = Fate::Nothing;
    let mut devices = vec![device];
    if let Some(top) = top {
        let number = node.and_then(verify::number_of);
        let ours = match state {
            State::Done => top.device == device,
            // btrfs has a number of its own; its source is all there is to compare.
            State::Planned => {
                number.is_some_and(|number| number == top.device)
                    || has_source && verify::source_at(path).as_deref() == Some(source)
            }
        };
        let covered = table
            .iter()
            .any(|line| line.point == path && line.device == device);
        if !ours && covered {
            let what = format!("something else is mounted over {}", path.display());
            return Fate::Failed(ExecError::Other(what));
        }
        if !ours {
            return Fate::Nothing;
        }
        devices.extend(verify::device_at(path));
        devices.push(top.device);
        if let Err(busy) = mounts::take_away(path, &[], node) {
            if busy.holders.is_empty() {
                return Fate::Failed(ExecError::Other(busy.what));
            }
            return Fate::Held(busy.holders);
        }
        undone = Fate::Undone(format!("unmounted {}", path.display()));
    }
    match node {
        Some(node) if !verify::is_mounted(node) && !verify::is_free(node) => {
            devices.retain(|device| *device != 0);
            Fate::Held(verify::holders(&devices, Some(node)))
        }
        _ => undone,
    }
}
