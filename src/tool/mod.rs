//! External programs: found in fixed places, started with a cleared environment, their argv
//! logged, their time bounded, the end of their stderr kept for the error.
//!
//! Must not decide anything: what a program's answer means is for the caller.

mod run;

pub use run::{Output, Tool, ToolError, run, run_all};
