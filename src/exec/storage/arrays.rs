//! md arrays.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Storage, recorded, settle, stack, verify};
use crate::exec::ExecError;
use crate::plan::StorageOp;
use crate::plan::storage::Array;
use crate::session::Item;
use crate::tool::{Tool, ToolError, run, run_well};

pub(super) fn assemble(storage: &mut Storage<'_>, array: &Array) -> Result<(), ExecError> {
    let item = Item::Array {
        name: array.name.clone(),
        uuid: array.uuid.clone(),
    };
    let id = storage.live.plan(item).map_err(recorded)?;
    let node = Path::new("/dev/md").join(&array.name);
    let mut words = vec!["--assemble", "--config=none"];
    if array.read_only {
        words.push("--readonly");
    }
    if array.degraded {
        words.push("--run");
    }
    let tool = mdadm().args(words).args([&node]).args(&array.members);
    if let Err(error) = run_well(&tool) {
        // Members that were taken before it failed are let go again.
        let left = stop_array(&array.uuid).map_err(tool_error);
        if left.is_ok() {
            storage.live.forget(id).map_err(recorded)?;
        }
        return Err(tool_error(error));
    }
    storage.live.done(id).map_err(recorded)?;
    storage.remember(StorageOp::Stop(array.clone()), id);
    settle();
    Ok(())
}

pub(super) fn stop(storage: &mut Storage<'_>, array: &Array) -> Result<(), ExecError> {
    settle();
    stop_array(&array.uuid).map_err(tool_error)?;
    storage.forget(&StorageOp::Stop(array.clone()))
}

/// Stops the array of this UUID, with what stands upon it. False when there is none.
///
/// # Errors
/// It is in use.
pub(super) fn stop_array(uuid: &str) -> Result<bool, ToolError> {
    let Some(node) = find(uuid) else {
        return Ok(false);
    };
    if let Some(name) = node.file_name().and_then(|name| name.to_str()) {
        stack::take_off(name)?;
    }
    run_well(&mdadm().args(["--stop"]).args([&node]))?;
    remove_nodes(&node);
    Ok(true)
}

/// Without udev mdadm makes nodes and links by itself and leaves them; opening such a node later
/// would make an empty array.
fn remove_nodes(node: &Path) {
    let name = node.file_name().unwrap_or_default();
    let gone = || fs::symlink_metadata(Path::new("/sys/class/block").join(name)).is_err();
    if !verify::has_udev() && verify::wait_until(gone) {
        for entry in fs::read_dir("/dev/md").into_iter().flatten().flatten() {
            let leads_there = fs::read_link(entry.path())
                .ok()
                .map(|to| Path::new("/dev/md").join(to));
            if leads_there.is_some_and(|to| to.file_name() == Some(name)) {
                fs::remove_file(entry.path()).ok();
            }
        }
        fs::remove_file(node).ok();
    }
}

/// mdadm writes the digits of a UUID in other groups than blkid does.
fn find(uuid: &str) -> Option<PathBuf> {
    let wanted = digits(uuid);
    let devices = fs::read_dir("/sys/class/block").ok()?;
    let nodes = devices
        .flatten()
        .map(|device| device.file_name())
        .filter(|name| name.to_string_lossy().starts_with("md"));
    nodes.map(|name| Path::new("/dev").join(name)).find(|node| {
        let tool = mdadm().args(["--detail", "--export"]).args([node]);
        let text = run(&tool).map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.strip_prefix("MD_UUID="))
            .any(|found| digits(found) == wanted)
    })
}

fn digits(uuid: &str) -> String {
    let digits = uuid.chars().filter(char::is_ascii_hexdigit);
    digits.map(|digit| digit.to_ascii_lowercase()).collect()
}

pub(super) fn mdadm() -> Tool {
    Tool::new("mdadm", "mdadm")
}

fn tool_error(error: ToolError) -> ExecError {
    ExecError::Other(error.to_string())
}
