//! What a dead session left of its storage, taken apart by its record.

use std::path::Path;

use super::verify::Claim;
use super::{arrays, groups, loops, mounts, settle, stack, verify};
use crate::exec::ExecError;
use crate::exec::sessions::Fate;
use crate::model::MountLine;
use crate::session::{Item, MountIdentity, State};
use crate::sys;

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
            identity,
        } => unmount(path, *device, source, identity, state),
        _ => Fate::Nothing,
    }
}

fn let_go(device: &Path, file: &Path) -> Fate {
    if device.as_os_str().is_empty() {
        return Fate::Nothing;
    }
    match loops::gone(device, file) {
        Ok(()) => Fate::Nothing,
        Err(busy) if busy.holders.is_empty() => Fate::Failed(ExecError::Other(busy.what)),
        Err(busy) => Fate::Held(busy.holders),
    }
}

/// `device` is 0 when the process died between attaching the mount and writing that down: then
/// only that very mount counts, or from another mount namespace what is mounted from the very
/// source.
fn unmount(
    path: &Path,
    device: u64,
    source: &Path,
    identity: &MountIdentity,
    state: State,
) -> Fate {
    let has_source = !source.as_os_str().is_empty();
    let node = has_source.then_some(source);
    let table = verify::table();
    let by_number = state == State::Planned
        && identity.number != 0
        && sys::ns::inode_of_this("mnt").is_ok_and(|inode| inode == identity.namespace);
    let is_ours = |line: &&MountLine| match state {
        State::Done => line.device == device,
        State::Planned if by_number => line.id == identity.number,
        // btrfs has a device number of its own; its source is all there is to compare.
        State::Planned => {
            node.and_then(verify::number_of) == Some(line.device)
                || has_source && line.source == source
        }
    };
    let here: Vec<&MountLine> = table.iter().filter(|line| line.point == path).collect();
    let mut undone = None;
    let mut devices = vec![device];
    if let Some(top) = here.last() {
        if !is_ours(top) {
            if !here.iter().any(is_ours) {
                return Fate::Nothing;
            }
            let what = format!("something else is mounted over {}", path.display());
            return Fate::Failed(ExecError::Other(what));
        }
        // Died before it was attached, and somebody else's mount got the number.
        if by_number && !verify::is_at(path, identity) {
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
        undone = Some(format!("unmounted {}", path.display()));
    }
    devices.retain(|device| *device != 0);
    let claim = match node {
        Some(node) if !verify::is_mounted(node) => verify::claim(node, &devices),
        _ => Claim::Free,
    };
    match (claim, undone) {
        (Claim::Ours(holders), _) => Fate::Held(holders),
        (Claim::Theirs(who), Some(what)) => Fate::Passed(what, who),
        (_, Some(what)) => Fate::Undone(what),
        (_, None) => Fate::Nothing,
    }
}
