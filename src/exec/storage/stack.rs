//! What stands upon a device: udev puts LVM and md together as soon as it sees their parts, and
//! what it did on a device of ours is ours to undo.

use std::fs;
use std::path::Path;

use super::arrays::mdadm;
use crate::exec::luks::name_of;
use crate::tool::{Tool, ToolError, run_well};

/// Devices stacked upon each other: LVM on LUKS on LVM on md, and not much more.
const DEEPEST: usize = 8;

/// Takes off everything that is built on `device` (the kernel's name).
///
/// # Errors
/// It is in use.
pub(in crate::exec) fn take_off(device: &str) -> Result<(), ToolError> {
    take_off_to(device, 0)
}

fn take_off_to(device: &str, depth: usize) -> Result<(), ToolError> {
    let holders = fs::read_dir(format!("/sys/class/block/{device}/holders"));
    for holder in holders.into_iter().flatten().flatten() {
        let holder = holder.file_name().to_string_lossy().into_owned();
        if depth < DEEPEST {
            take_off_to(&holder, depth + 1)?;
        }
        if let Some(name) = name_of(&holder) {
            run_well(&Tool::new("dmsetup", "dmsetup").args(["remove", "--retry", &name]))?;
        } else if holder.starts_with("md") {
            let node = Path::new("/dev").join(&holder);
            run_well(&mdadm().args(["--stop"]).args([&node]))?;
        }
    }
    Ok(())
}
