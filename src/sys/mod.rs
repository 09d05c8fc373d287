//! The only unsafe code: thin typed wrappers over system calls.
//!
//! Rules of this layer: one function is one call (or one inseparable pair); no policy; nothing
//! above is imported. Calls that look for things that may well be absent return
//! `io::Result` (a bare errno, no allocation); calls that change something return
//! [`SysError`], which prints the whole call with its arguments.

pub mod cpu;
pub mod block;
pub mod btrfs;
mod error;
pub mod file;
pub mod fs;
pub mod fsmount;
pub mod lock;
pub mod loopdev;
pub mod worker;

pub use error::{SysError, SysResult, describe, errno_of};
