//! What was found and what was chosen, before anything is decided.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{HostPath, Kind, Meta, Reason, RootPath};
use crate::plan::Owner;

/// What stands in the `--from` root and is needed, by its path there. No path leads through a
/// link: the links on the way are entries of their own.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Who needs things: "program git", "profile nss". Entries name them by index.
    pub reasons: Vec<Reason>,
    /// By path.
    pub found: BTreeMap<RootPath, Found>,
}

/// One path of the `--from` root.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub what: What,
    /// Its metadata there.
    pub meta: Meta,
    /// Indices into [`Facts::reasons`], in the order they came up.
    pub reasons: Vec<u32>,
    /// Set-id bits and file capabilities stay.
    pub keep_privileges: bool,
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link with its text.
    Link(PathBuf),
    /// A device node.
    Node,
}

/// Something that newroot makes instead of copying it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where; links of the jail on the way are followed.
    pub path: RootPath,
    /// What.
    pub what: MadeWhat,
    /// Who wants it: "jail", "profile nss".
    pub reason: Reason,
    /// Only where nothing else puts something there.
    pub weak: bool,
}

/// What is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeWhat {
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
        /// Owner; root when absent.
        owner: Option<Owner>,
    },
    /// A symbolic link.
    Link {
        /// Its text.
        target: PathBuf,
    },
    /// A small file.
    Write {
        /// Content.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// A device node.
    Node {
        /// [`Kind::CharDevice`] or [`Kind::BlockDevice`].
        kind: Kind,
        /// Device number.
        major: u32,
        /// Device number.
        minor: u32,
        /// Permission bits.
        mode: u32,
    },
}

/// What the caller may do, and where.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The jail's directory on the host, as it will be called.
    pub base: HostPath,
    /// The `--from` root on the host.
    pub from: HostPath,
    /// Who builds: what everything belongs to when owners cannot be kept.
    pub builder: Owner,
    /// Owners are those of the source (root's privilege); otherwise everything is the builder's,
    /// and set-id bits are dropped whatever was asked for.
    pub owners: bool,
    /// Device nodes are made.
    pub nodes: bool,
}
