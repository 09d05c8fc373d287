//! Ending the machine that newroot runs on.

use std::ffi::OsStr;

use super::ExecError;
use super::enter::Wish;
use crate::model::{Kind, RootPath};
use crate::root::{Host, Tree};
use crate::sys;
use crate::tool::{Tool, ToolError, run_well};

/// Reboots, switches off, or halts: by systemd where it runs, else by the program of that name,
/// else by reboot(2). `instead` is a shell command that gets the word and does it its own way.
/// Comes back when the end has begun.
///
/// # Errors
/// What was asked to do it, and why it did not.
pub fn end_machine(wish: Wish, instead: Option<&OsStr>) -> Result<(), ExecError> {
    let word = wish.word();
    let told = |error: ToolError| ExecError::Other(error.to_string());
    if let Some(command) = instead {
        let script = "eval \"$0 $1\"";
        let shell = Tool::new("sh", "dash").args([
            OsStr::new("-c"),
            OsStr::new(script),
            command,
            OsStr::new(word),
        ]);
        return run_well(&shell).map(drop).map_err(told);
    }
    let systemd = Host.stat(&RootPath::new("/run/systemd/system"));
    if systemd.is_ok_and(|meta| meta.kind == Kind::Directory) {
        let systemctl = Tool::new("systemctl", "systemd").args([word]);
        return run_well(&systemctl).map(drop).map_err(told);
    }
    let program = Tool::new(word, "sysvinit-core");
    if program.find().is_some() {
        return run_well(&program).map(drop).map_err(told);
    }
    sys::process::end_machine(match wish {
        Wish::Reboot => sys::process::MachineEnd::Restart,
        Wish::PowerOff => sys::process::MachineEnd::PowerOff,
        Wish::Halt => sys::process::MachineEnd::Halt,
    })?;
    Ok(())
}
