//! Plain types everyone shares. No I/O, no policy.

mod cpu;
mod ended;
mod lent;
mod manifest;
mod map;
mod meta;
mod mount;
mod path;
mod pending;
mod shell;
mod size;

pub use cpu::Cpu;
pub use ended::Ended;
pub use lent::{LENT, LENT_TABLE, LentCall, LentError, LentStart, LentTable, LentTool};
pub use manifest::{
    BindEntry, Entry, EntryKind, MANIFEST, MANIFEST_VERSION, Manifest, ManifestError, Reason,
    Request, Text, hex,
};
pub use map::{Map, Set};
pub use meta::{FileId, Kind, Meta};
pub use mount::{MountFlags, MountLine, pack_device, parse_mountinfo, unescape_octal};
pub use path::{HostPath, RootPath};
pub use pending::{PENDING, Pending};
pub use shell::{shell_text, shell_word};
pub use size::Bytes;
