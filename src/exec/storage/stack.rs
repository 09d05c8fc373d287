//! What stands upon a device: udev puts LVM and md together as soon as it sees their parts, and
//! what it did on a device of ours is ours to undo.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::arrays::mdadm;
use super::verify;
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

/// Without udev, device-mapper's nodes are made and removed by whoever changes something, and a
/// program that takes udev for granted leaves them.
pub(in crate::exec) fn tidy_nodes() -> Result<(), ToolError> {
    if verify::has_udev() {
        return Ok(());
    }
    run_well(&Tool::new("dmsetup", "dmsetup").args(["mknodes"])).map(|_| ())
}

/// How long a tool that was started by a process which died meanwhile is waited for: the key
/// derivation of LUKS takes its time.
const ENDING: Duration = Duration::from_secs(60);

/// Waits until no process has `word` in its command line: a tool goes on when newroot is killed,
/// and what it does is not done before it ends.
pub(in crate::exec) fn wait_for_tools(word: &str) {
    let until = Instant::now() + ENDING;
    while Instant::now() < until && tool_runs(word) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn tool_runs(word: &str) -> bool {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| process.file_name().to_string_lossy() != own)
        .any(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let program = words
                .next()
                .unwrap_or_default()
                .rsplit(|byte| *byte == b'/')
                .next();
            let ours: [&[u8]; 3] = [b"cryptsetup", b"lvm", b"mdadm"];
            program.is_some_and(|program| ours.contains(&program))
                && words.any(|found| found == word.as_bytes())
        })
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
