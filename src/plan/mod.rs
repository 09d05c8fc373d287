//! Decisions as data: facts and choices become a list of operations.
//!
//! Pure: no system call, no file, no printing. An [`Op`] says what happens; a [`Step`] says also
//! where ([`Place`]). `Display` of a step is the shell command that does the same, which is what
//! `-n` prints and `-v` prints as it is done. [`Op::inverse`] is what the undo stack takes.

pub mod enter;
pub mod environment;
mod file;
pub mod jail;
pub mod lent;
pub mod look;
mod mount;
mod op;
pub mod open;
pub mod outside;
mod process;
mod script;
pub mod storage;

pub use file::{FileOp, Owner, Source};
pub use mount::{BindSource, MountOp};
pub use op::{Op, Place, Step};
pub use process::{Command, Credentials, Mode, ProcessOp};
pub use script::{SCRIPT_END, script};
pub use storage::StorageOp;
