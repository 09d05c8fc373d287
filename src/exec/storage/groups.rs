//! LVM volume groups, always named by their UUID: two may have one name.

use std::fs;

use super::{Storage, recorded, settle, stack};
use crate::exec::{ExecError, luks};
use crate::plan::StorageOp;
use crate::plan::storage::{Group, selection};
use crate::session::Item;
use crate::tool::{Output, Tool, ToolError, run, run_well};

/// lvm's status for a command line it does not understand.
const BAD_COMMAND_LINE: i32 = 3;

pub(super) fn activate(storage: &mut Storage<'_>, group: &Group) -> Result<(), ExecError> {
    let item = Item::Group {
        name: group.name.clone(),
        uuid: group.uuid.clone(),
        before: active(&group.uuid),
    };
    let id = storage.live.plan(item.clone()).map_err(recorded)?;
    let mut words = vec!["-ay".to_string(), "--monitor".into(), "n".into()];
    if group.read_only {
        words.push("--config".into());
        let list = format!("activation/read_only_volume_list=[\"{}\"]", group.name);
        words.push(list);
    }
    let done = vgchange(&words, group);
    settle();
    if let Err(error) = done {
        if deactivate_group(&item).is_ok() {
            storage.live.forget(id).map_err(recorded)?;
        }
        return Err(ExecError::Other(error.to_string()));
    }
    storage.live.done(id).map_err(recorded)?;
    storage.remember(StorageOp::Deactivate(group.clone()), id);
    Ok(())
}

pub(super) fn deactivate(storage: &mut Storage<'_>, group: &Group) -> Result<(), ExecError> {
    let inverse = StorageOp::Deactivate(group.clone());
    let items = &storage.parts.items;
    let id = items
        .iter()
        .find(|(op, _)| *op == inverse)
        .map(|(_, id)| *id);
    let planned = storage.live.record().items.iter();
    let item = planned
        .filter(|planned| Some(planned.id) == id)
        .map(|planned| planned.item.clone())
        .next();
    settle();
    if let Some(item) = item {
        deactivate_group(&item).map_err(|error| ExecError::Other(error.to_string()))?;
    }
    storage.forget(&inverse)
}

/// Deactivates what was not active before. False when nothing was.
///
/// # Errors
/// It is in use.
pub(super) fn deactivate_group(item: &Item) -> Result<bool, ToolError> {
    let Item::Group { name, uuid, before } = item else {
        return Ok(false);
    };
    let ours = || {
        let active = active(uuid).into_iter();
        active.filter(|volume| !before.contains(volume)).collect()
    };
    let now: Vec<String> = ours();
    if now.is_empty() {
        return Ok(false);
    }
    let group = Group {
        name: name.clone(),
        uuid: uuid.clone(),
        read_only: false,
    };
    if before.is_empty() && vgchange(&["-an".to_string()], &group).is_ok() && ours().is_empty() {
        stack::tidy_nodes()?;
        return Ok(true);
    }
    // LVM may not be able to read the group any more; device-mapper still knows its volumes.
    for volume in ours() {
        run_well(&Tool::new("dmsetup", "dmsetup").args(["remove", "--retry", &volume]))?;
    }
    stack::tidy_nodes()?;
    Ok(true)
}

/// The active volumes of a group: LVM writes the group's UUID into theirs, without its dashes.
fn active(uuid: &str) -> Vec<String> {
    let prefix = format!("LVM-{}", uuid.replace('-', ""));
    let devices = fs::read_dir("/sys/class/block").into_iter().flatten();
    let names = devices
        .flatten()
        .map(|device| device.file_name().to_string_lossy().into_owned());
    names
        .filter(|device| {
            let file = format!("/sys/class/block/{device}/dm/uuid");
            fs::read_to_string(file).is_ok_and(|found| found.starts_with(&prefix))
        })
        .filter_map(|device| luks::name_of(&device))
        .collect()
}

/// A devices file of the live system (RHEL 9 and later) would hide the target's disks; releases
/// before 2.03.12 do not know the option.
fn vgchange(words: &[String], group: &Group) -> Result<(), ToolError> {
    let tool = |more: &[&str]| {
        Tool::new("lvm", "lvm2")
            .args(["vgchange"])
            .args(more)
            .args(words)
            .args(["--select", &selection(group)])
    };
    let first = tool(&["--devicesfile", ""]);
    let Output { status, .. } = run(&first)?;
    if status == 0 {
        return Ok(());
    }
    let again = if status == BAD_COMMAND_LINE {
        tool(&[])
    } else {
        first
    };
    run_well(&again).map(|_| ())
}
