//! What a session has to undo.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::text;

/// Names one item inside its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemId(pub u32);

/// How far the deed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Written before the deed: it may or may not have been done.
    Planned,
    /// The deed was done.
    Done,
}

/// Something that outlives the process. New kinds are added at the end; a reader that meets a
/// kind it does not know refuses the record and leaves everything alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Item {
    /// A directory that will be filled, before it is made. It must carry the session's own
    /// [`super::Live::staging_name`]: that name is what identifies it as long as there is no inode.
    StagingPlanned {
        /// Absolute path on the host.
        #[serde(with = "text::path")]
        path: PathBuf,
    },
    /// A directory that is being filled; removed only while it is this inode.
    Staging {
        /// Absolute path on the host.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// `st_dev`.
        device: u64,
        /// `st_ino`.
        inode: u64,
    },
    /// An empty directory or file that was made to mount something on, in the caller's own mount
    /// namespace.
    MountPoint {
        /// Absolute path on the host.
        #[serde(with = "text::path")]
        path: PathBuf,
    },
    /// The mount namespace of the session's init. It goes with its last process; it is listed so
    /// that whoever cleans up can name those who still hold it.
    Namespace {
        /// The inode of `/proc/PID/ns/mnt`.
        mount: u64,
        /// Filesystems that only this session mounted (`st_dev`).
        devices: Vec<u64>,
    },
    /// A device-mapper mapping of an encrypted volume. Its name carries the session's and is all
    /// that identifies it.
    Mapping {
        /// The name below /dev/mapper that it was opened under; it may have another one since, but
        /// its uuid ends in this one.
        name: String,
    },
    /// A small file in a target, for the time being. Its content identifies it.
    TargetFile {
        /// The target's root on the host, while the session lives.
        #[serde(with = "text::path")]
        root: PathBuf,
        /// The file inside it, without a link in the path.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// What is in it.
        content: String,
        /// The device of its filesystem.
        #[serde(with = "text::path")]
        source: PathBuf,
        /// The type of its filesystem.
        fstype: String,
        /// The file inside that filesystem.
        #[serde(with = "text::path")]
        inside: PathBuf,
        /// `f_fsid` of that filesystem: another one may have its device by now.
        fsid: u64,
    },
    /// A loop device (AUTOCLEAR: it goes with its last user).
    Loop {
        /// Its node; empty as long as it is not known.
        #[serde(with = "text::path")]
        device: PathBuf,
        /// The file or disk behind it.
        #[serde(with = "text::path")]
        file: PathBuf,
        /// Where it begins there, in bytes.
        offset: u64,
    },
    /// An md array that was assembled.
    Array {
        /// The name below /dev/md.
        name: String,
        /// Its UUID.
        uuid: String,
    },
    /// A volume group that was activated.
    Group {
        /// Its name.
        name: String,
        /// Its UUID.
        uuid: String,
        /// Volumes that were active before, by their name below /dev/mapper: they stay so.
        before: Vec<String>,
    },
    /// A mount in the caller's own mount namespace.
    Mount {
        /// Where it is, as mountinfo shows it.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// Its filesystem, as mountinfo numbers it.
        device: u64,
        /// What it was mounted from: the node of a device, or a server's name for it; empty for a
        /// part of another mount.
        #[serde(with = "text::path")]
        source: PathBuf,
        /// What it is known by before it is attached; nothing where mount(8) makes it.
        #[serde(default)]
        identity: MountIdentity,
    },
}

/// What tells a mount from any other, from the moment it is made. 0 is "not known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountIdentity {
    /// Its number in mountinfo. The kernel gives it to the next mount as soon as this one is gone.
    pub number: u64,
    /// The number that no other mount gets; known since Linux 6.8.
    pub unique: u64,
    /// `st_dev` of its files.
    pub device: u64,
    /// The inode of the mount namespace that it is attached in: in others its copies have other
    /// numbers.
    pub namespace: u64,
}

/// An item with its name and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its name inside the record.
    pub id: ItemId,
    /// How far it is.
    pub state: State,
    /// What it is.
    pub item: Item,
}
