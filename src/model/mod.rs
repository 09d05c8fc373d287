//! Plain types everyone shares. No I/O, no policy.

mod meta;
mod path;
mod shell;
mod size;

/// Where a jail keeps what was put into it and why; a root that has it is a jail of ours.
pub const MANIFEST: &str = "/.newroot/manifest.json";

pub use meta::{FileId, Kind, Meta};
pub use path::{HostPath, RootPath};
pub use shell::shell_word;
pub use size::Bytes;
