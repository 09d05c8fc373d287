//! What S and I say to each other.

use serde::{Deserialize, Serialize};

use super::Wish;
use super::payload::Trouble;
use crate::model::Ended;
use crate::session::Process;
use crate::sys::SysResult;
use crate::sys::wire::Wire;

/// From the init.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// A step is done; a filesystem that was made has this `st_dev`.
    Done { step: usize, device: Option<u64> },
    /// It was done otherwise than planned.
    Note(String),
    /// A step failed; nothing more will come.
    Failed {
        step: usize,
        text: String,
        errno: i32,
    },
    /// The program could not be executed; nothing more will come.
    Cannot(Trouble),
    /// The program is this process, in this mount namespace (an inode).
    Payload { process: Process, namespace: u64 },
    /// The program runs.
    Started,
    /// What the program wanted from newroot.
    Wish(Wish),
    /// A signal stopped it.
    Stopped(i32),
    /// It ended; the init ends what it left, and then itself.
    Ended(Ended),
}

/// From the program to the init, before it is the program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Birth {
    /// It is this process, in this mount namespace (an inode).
    Seen { process: Process, namespace: u64 },
    /// A step failed; it ends.
    Failed {
        step: usize,
        text: String,
        errno: i32,
    },
    /// It could not be executed; it ends.
    Cannot(Trouble),
}

/// To the init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Order {
    /// Send this to the program's process group.
    Signal(i32),
    /// Let it go on; with the terminal, or without.
    Continue { foreground: bool },
}

/// Sends one; the other side may be gone, and then there is nobody to tell.
pub(super) fn tell(wire: &Wire, message: &impl Serialize) {
    if let Ok(bytes) = serde_json::to_vec(message) {
        wire.send(&bytes).ok();
    }
}

/// The next one; `None` when the other side is gone, or talks nonsense.
pub(super) fn hear<T: for<'de> Deserialize<'de>>(wire: &Wire) -> SysResult<Option<T>> {
    let bytes = wire.receive()?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
