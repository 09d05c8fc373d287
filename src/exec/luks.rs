//! Encrypted volumes: opened read-only for a look, and locked again. A mapping outlives the
//! process, so it is in the session's record before it is made.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::session::{Item, ItemId, Live, SessionError};
use crate::tool::{Tool, ToolError, run, run_well};

/// Argon2 may be told to take long, on a faster machine than this one.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often closing is tried again, and after which time.
const ACTIVATIONS: u32 = 4;
const MOMENT: Duration = Duration::from_millis(500);
/// cryptsetup's statuses: no permission (a bad passphrase).
const BAD_PASSPHRASE: i32 = 2;

/// What opens a volume.
#[derive(Clone)]
pub enum Key {
    /// A passphrase, as it was typed or read.
    Passphrase(Vec<u8>),
    /// A file that cryptsetup reads itself.
    File(PathBuf),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Passphrase(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Why a volume was not opened or not locked.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
    /// The passphrase or key fits no slot.
    #[error("the passphrase does not fit")]
    Refused,
    /// cryptsetup failed otherwise.
    #[error("{0}")]
    Failed(String),
    /// It could not be run.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The record could not be written: then nothing is done.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// A volume that this session opened.
#[must_use = "it stays open until it is locked"]
#[derive(Debug)]
pub struct Unlocked {
    /// The name below /dev/mapper.
    pub name: String,
    item: ItemId,
}

/// How a volume is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing can be written.
    ReadOnly,
    /// As the system itself would; `discards`: crypttab says so.
    ReadWrite {
        /// What is freed is told to the disk.
        discards: bool,
    },
}

/// The command that opens `device` as `name`, without the key.
#[must_use]
pub fn open_command(device: &Path, name: &str, key: &Key, access: Access) -> Tool {
    let file = match key {
        Key::Passphrase(_) => OsStr::new("-"),
        Key::File(path) => path.as_os_str(),
    };
    let words: &[&str] = match access {
        Access::ReadOnly => &["--readonly"],
        Access::ReadWrite { discards: true } => &["--allow-discards"],
        Access::ReadWrite { discards: false } => &[],
    };
    Tool::new("cryptsetup", "cryptsetup")
        .args(["open"])
        .args(words)
        .args(["--batch-mode", "--key-file"])
        .args([file, OsStr::new("--"), device.as_os_str(), OsStr::new(name)])
        .deadline(PATIENCE)
}

/// Opens `device`. The name carries the session's, so that whoever cleans up knows it.
///
/// # Errors
/// [`LuksError`]; the volume is not open then.
pub fn unlock(
    live: &mut Live,
    device: &Path,
    name: String,
    key: &Key,
    access: Access,
) -> Result<Unlocked, LuksError> {
    let item = live.plan(Item::Mapping { name: name.clone() })?;
    let mut tool = open_command(device, &name, key, access);
    if let Key::Passphrase(bytes) = key {
        tool = tool.input(bytes.clone());
    }
    let failure = match run(&tool) {
        Ok(output) if output.status == 0 => {
            live.done(item)?;
            return Ok(Unlocked { name, item });
        }
        Ok(output) if output.status == BAD_PASSPHRASE => LuksError::Refused,
        Ok(output) => LuksError::Failed(output.stderr),
        // It may have got as far as the mapping: the item stays unless there is none.
        Err(error) => LuksError::Tool(error),
    };
    close(&name)?;
    live.forget(item)?;
    Err(failure)
}

/// Locks it again, with what udev put upon it meanwhile.
///
/// # Errors
/// Who still uses it, in cryptsetup's words; the item stays in the record.
pub fn lock(live: &mut Live, unlocked: Unlocked) -> Result<(), LuksError> {
    close(&unlocked.name)?;
    live.forget(unlocked.item)?;
    Ok(())
}

/// Gives a mapping another name; its uuid keeps the one it was opened under.
///
/// # Errors
/// Somebody has the name.
pub fn rename(unlocked: &mut Unlocked, name: &str) -> Result<(), ToolError> {
    let now = current(&unlocked.name).unwrap_or_else(|| unlocked.name.clone());
    run_well(&Tool::new("dmsetup", "dmsetup").args(["rename", &now, name]))?;
    super::storage::tidy_nodes()
}

/// Takes a mapping away, and first what stands upon it (LVM that was activated when it appeared).
/// False when there is none that was opened under that name.
///
/// # Errors
/// It is in use.
pub fn close(name: &str) -> Result<bool, ToolError> {
    let Some(device) = device_of(name) else {
        return Ok(false);
    };
    let mut left = ACTIVATIONS;
    while let Err(error) = close_device(&device, name) {
        // systemd activates LVM beside udev, some time after the volume was opened: it may come
        // up between the look at what stands upon it and the closing.
        left = left.checked_sub(1).ok_or(error)?;
        if device_of(name).is_none() {
            break;
        }
        super::storage::settle();
        std::thread::sleep(MOMENT);
    }
    super::storage::tidy_nodes()?;
    Ok(true)
}

fn close_device(device: &str, name: &str) -> Result<(), ToolError> {
    super::storage::take_off(device)?;
    let now = name_of(device).unwrap_or_else(|| name.to_string());
    run_well(&Tool::new("cryptsetup", "cryptsetup").args(["close", "--", &now])).map(|_| ())
}

/// The name below /dev/mapper that a mapping has now.
#[must_use]
pub fn current(name: &str) -> Option<String> {
    name_of(&device_of(name)?)
}

pub(super) fn name_of(device: &str) -> Option<String> {
    attribute(device, "name")
}

fn attribute(device: &str, which: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/block/{device}/dm/{which}")).ok()?;
    Some(text.trim_end().to_string())
}

/// The mapping that has the name, or was opened under it: cryptsetup writes the name into the
/// uuid (`CRYPT-LUKS2-…-NAME`), where no rename changes it.
fn device_of(name: &str) -> Option<String> {
    let devices = fs::read_dir("/sys/class/block").ok()?;
    let names = devices
        .flatten()
        .map(|device| device.file_name().to_string_lossy().into_owned());
    let ending = format!("-{name}");
    names
        .filter(|device| device.starts_with("dm-"))
        .find(|device| {
            let uuid = attribute(device, "uuid").unwrap_or_default();
            let opened_as = uuid.starts_with("CRYPT-") && uuid.ends_with(&ending);
            opened_as || name_of(device).as_deref() == Some(name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_opens_read_only_and_never_shows_a_passphrase() {
        let key = Key::Passphrase(b"secret".to_vec());
        let command =
            open_command(Path::new("/dev/sda5"), "newroot-x", &key, Access::ReadOnly).shell();
        assert_eq!(
            command,
            "cryptsetup open --readonly --batch-mode --key-file - -- /dev/sda5 newroot-x"
        );
        assert!(!format!("{key:?}").contains("secret"));
        let key = Key::File("/k y".into());
        assert!(
            open_command(
                Path::new("/d"),
                "n",
                &key,
                Access::ReadWrite { discards: true }
            )
            .shell()
            .starts_with("cryptsetup open --allow-discards --batch-mode --key-file '/k y'")
        );
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        assert!(!close("newroot-no-such-mapping").unwrap());
    }
}
