//! The only module that changes the machine. It is told what to do by [`crate::plan`], reports
//! through [`Events`], and never prints.

mod apply;
mod undo;

pub use apply::{Events, ExecError, Machine, Silent, apply};
pub use undo::{UndoFailure, UndoStack};
