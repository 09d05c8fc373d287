//! The operations that newroot knows, and where each is done.

use std::fmt;

use super::{FileOp, MountOp, ProcessOp, StorageOp};
use crate::model::HostPath;

/// In whose namespaces an operation is done (design rule 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The caller's own: visible to everyone.
    Host,
    /// The supervisor's mount namespace, slave to the host's.
    Session,
    /// The init's own mount and PID namespace.
    Payload,
}

/// One operation on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Something in a tree of files.
    File(FileOp),
    /// Something with mounts.
    Mount(MountOp),
    /// Something with processes.
    Process(ProcessOp),
    /// Something with disks and what is stacked on them.
    Storage(StorageOp),
}

impl Op {
    /// The operation that takes this one back; `None` where nothing has to be taken back
    /// (metadata of something whose creation has an inverse of its own).
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        match self {
            Self::File(op) => op.inverse().map(Self::File),
            // These live in namespaces of the session and go with its last process.
            Self::Mount(_) | Self::Process(_) => None,
            Self::Storage(op) => op.inverse().map(Self::Storage),
        }
    }
}

impl Op {
    /// Bytes that it copies, for the progress bar.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File(op) => op.bytes(),
            Self::Mount(_) | Self::Process(_) | Self::Storage(_) => 0,
        }
    }
}

/// An operation, where it is done, and the root that its paths are inside of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// What.
    pub op: Op,
    /// Where the root lies on the host: for showing, and for shell commands.
    pub base: HostPath,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.op {
            Op::File(op) => op.shell(&self.base, f),
            Op::Mount(op) => op.shell(&self.base, f),
            Op::Process(op) => op.shell(&self.base, f),
            Op::Storage(op) => op.shell(&self.base, f),
        }
    }
}
