//! The only module that changes the machine. It is told what to do by [`crate::plan`], reports
//! through [`Events`], and never prints.

mod apply;
pub mod enter;
mod holders;
pub mod sessions;
mod terminal;
mod undo;

pub use apply::{Events, ExecError, Machine, Silent, apply};
pub use holders::{Holder, Traces, find_holders};
pub use undo::{UndoFailure, UndoStack};
