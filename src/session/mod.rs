//! The record of what outlives a process: who runs where, and what a dead one left behind.
//!
//! A session is two files in a directory of its own ([`Place`]): `ID.json`, the [`Record`],
//! replaced atomically, and `ID.lock`, which the living process holds ([`crate::sys::lock`]).
//! What will have to be undone is written *before* it is done ([`Live::plan`]) and struck out
//! after it is undone ([`Live::forget`]), so whoever reads the record of a dead session must cope
//! with a deed that was never done, and with one that was done and not yet marked so.
//!
//! Nothing here undoes anything: that is `exec`'s.

mod item;
mod live;
mod log;
mod output;
mod place;
mod process;
mod record;
mod text;

pub use item::{Item, ItemId, MountIdentity, Planned, State};
pub use live::{Dead, Live, New};
pub use log::Log;
pub use output::Output;
pub use place::{Alone, Entry, Place, list};
pub use process::{Process, boot_id};
pub use record::Record;

use crate::sys::SysError;

/// Why a session could not be recorded or read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A system call failed.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The directory of the records belongs to somebody else, or others may write in it.
    #[error("{path} is not a private directory of user {uid}")]
    NotOurs {
        /// Where.
        path: String,
        /// Whose it should be.
        uid: u32,
    },
    /// There is no such session.
    #[error("there is no session {id}")]
    Missing {
        /// Its name.
        id: String,
    },
    /// A record that is no record.
    #[error("the record {name} cannot be read: {why}")]
    Malformed {
        /// The file's name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// /proc is not what it should be.
    #[error("cannot read {path}: {why}")]
    Proc {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
}
