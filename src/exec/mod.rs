//! The only module that changes the machine. It is told what to do by [`crate::plan`], reports
//! through [`Events`], and never prints.

mod apply;
mod clear;
mod copy;
pub mod enter;
mod files;
mod holders;
mod install;
mod leftover;
mod lent;
pub mod luks;
pub mod reboot;
mod relay;
mod rewrite;
pub mod sessions;
mod site;
mod stage;
pub mod storage;
mod target_file;
mod terminal;
mod undo;
mod workers;

pub use apply::{Events, ExecError, Machine, Silent, apply};
pub use clear::{clear_directory, remove_tree};
pub use copy::How;
pub use files::{Files, Meanwhile, Outcome};
pub use holders::{Holder, Traces, find_holders};
pub use install::install_file;
pub use lent::{ShimError, become_lent, lent_name};
pub use stage::{StageError, Staging, lock_jail};
pub use target_file::{put as put_in_target, take_away as take_from_target};
pub use undo::{UndoFailure, UndoStack};
pub use workers::fill_fresh;
