//! Plain types everyone shares. No I/O, no policy.

mod manifest;
mod meta;
mod path;
mod shell;
mod size;

pub use manifest::{
    BindEntry, Entry, EntryKind, MANIFEST, MANIFEST_VERSION, Manifest, ManifestError, Request,
    Text, hex,
};
pub use meta::{FileId, Kind, Meta};
pub use path::{HostPath, RootPath};
pub use shell::shell_word;
pub use size::Bytes;
