//! The only unsafe code: thin typed wrappers over system calls.
//!
//! Rules of this layer: one function is one call (or one inseparable pair); no policy; nothing
//! above is imported. Calls that look for things that may well be absent return
//! `io::Result` (a bare errno, no allocation); calls that change something return
//! [`SysError`], which prints the whole call with its arguments.

pub mod ability;
pub mod block;
pub mod btrfs;
pub mod cpu;
mod error;
pub mod file;
pub mod fs;
pub mod lock;
pub mod loopdev;
pub mod mount;
pub mod ns;
pub mod process;
pub mod pty;
pub mod signal;
pub mod tree;
pub mod tty;
pub mod unnamed;
pub mod wire;
pub mod worker;
pub mod xattr;

use error::last_errno;
pub use error::{SysError, SysResult, describe, errno_of};
