//! What is written down about a session.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::item::Planned;
use super::{Process, text};

/// The version of this format.
pub(super) const VERSION: u32 = 1;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of the format.
    pub version: u32,
    /// As `newroot ps` shows it.
    pub id: String,
    /// The verb: `enter`, `try`, `build`.
    pub kind: String,
    /// The boot it belongs to.
    pub boot: String,
    /// The supervisor.
    pub supervisor: Process,
    /// The init of its PID namespace, once there is one.
    pub init: Option<Process>,
    /// The program, where it is in a mount namespace of its own and the init is not (`rescue`).
    #[serde(default)]
    pub payload: Option<Process>,
    /// The directory that serves as `/`, absolute on the host.
    #[serde(with = "text::path")]
    pub root: PathBuf,
    /// What runs in it; empty when nothing does.
    #[serde(with = "text::words")]
    pub command: Vec<OsString>,
    /// Where its program's output goes since the terminal went away; empty as long as it is there.
    #[serde(default, with = "text::path")]
    pub output: PathBuf,
    /// Seconds since 1970.
    pub created: u64,
    /// What is to be undone, in the order it was planned.
    pub items: Vec<Planned>,
    /// The next item's name.
    pub next_item: u32,
    /// What it holds shall outlive it: `umount` takes it away, not `cleanup`.
    #[serde(default)]
    pub standing: bool,
    /// What people call its target: id, hostname, device, image file.
    #[serde(default)]
    pub names: Vec<String>,
}
