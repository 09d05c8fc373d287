//! Plain types everyone shares. No I/O, no policy.

mod cpu;
mod ended;
mod manifest;
mod meta;
mod mount;
mod path;
mod shell;
mod size;

pub use cpu::Cpu;
pub use ended::Ended;
pub use manifest::{
    BindEntry, Entry, EntryKind, MANIFEST, MANIFEST_VERSION, Manifest, ManifestError, Request,
    Text, hex,
};
pub use meta::{FileId, Kind, Meta};
pub use mount::{MountFlags, MountLine, pack_device, parse_mountinfo};
pub use path::{HostPath, RootPath};
pub use shell::shell_word;
pub use size::Bytes;
