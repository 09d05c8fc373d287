//! What `scan` shows: the table of screens.md, screen 2, and the same for programs.
//!
//! Pure: facts become text. Everything that comes from a disk is escaped here.

mod json;
mod lines;
mod table;

pub use json::json;
pub use lines::{closing, place};
pub use table::table;
