//! External programs: found in fixed places, started with a cleared environment, their argv
//! logged, their time bounded, the end of their stderr kept for the error.
//!
//! Must not decide anything: what a program's answer means is for the caller.

mod command;
mod feed;
mod run;

pub use command::{Tool, ToolError};
pub use feed::{FeedError, feed};
pub use run::{Output, run, run_all, run_well};
