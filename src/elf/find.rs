//! What a search ends with, and how each family judges the file behind one name (G8, M7).

use std::sync::Arc;

use goblin::elf::header::{ET_DYN, ET_EXEC};

use super::engine::FileState;
use super::names::Known;
use super::object::Target;
use super::types::FoundBy;
use crate::model::RootPath;

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const ENAMETOOLONG: i32 = 36;

/// The end of a search.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// This file.
    Found {
        /// As the loader opens it.
        path: RootPath,
        object: Arc<Known>,
        by: FoundBy,
    },
    /// The loader stops at this file and gives up.
    Refused {
        path: RootPath,
        reason: &'static str,
    },
    /// Nothing.
    Missing,
}

/// What one candidate is to the search.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// Take it.
    Fit(Arc<Known>),
    /// Try the next one.
    Skip,
    /// Leave this list of directories (musl: end the whole search).
    Stop,
    /// Give up with this message.
    Fatal(&'static str),
}

/// glibc: another class or machine is skipped, a file it cannot understand ends everything.
pub(super) fn judge_glibc(state: FileState, wanted: Target) -> Verdict {
    match state {
        FileState::Absent(ENOENT | EACCES | ENOTDIR) => Verdict::Skip,
        FileState::Absent(_) => Verdict::Stop,
        FileState::Refused(refusal) => {
            if refusal.class.is_some_and(|class| class != wanted.class) {
                return Verdict::Skip;
            }
            match refusal.target {
                Some(target) if target.little != wanted.little => {
                    Verdict::Fatal(wrong_order(wanted))
                }
                Some(target) if target.machine != wanted.machine => Verdict::Skip,
                _ => Verdict::Fatal(refusal.reason),
            }
        }
        FileState::Object(object) => {
            let target = object.target;
            if target.class != wanted.class {
                Verdict::Skip
            } else if target.little != wanted.little {
                Verdict::Fatal(wrong_order(wanted))
            } else if let Some(fault) = object.early_fault {
                Verdict::Fatal(fault)
            } else if target.machine != wanted.machine {
                Verdict::Skip
            } else if let Some(fault) = object.late_fault {
                Verdict::Fatal(fault)
            } else {
                Verdict::Fit(object)
            }
        }
    }
}

/// musl: the first file that opens is taken, or ends everything.
pub(super) fn judge_musl(state: FileState) -> Verdict {
    match state {
        FileState::Absent(ENOENT | EACCES | ENOTDIR | ENAMETOOLONG) => Verdict::Skip,
        FileState::Absent(_) => Verdict::Stop,
        FileState::Refused(_) => Verdict::Fatal("Exec format error"),
        FileState::Object(object) if !matches!(object.file_type, ET_DYN | ET_EXEC) => {
            Verdict::Fatal("Exec format error")
        }
        FileState::Object(object) if !object.has_dynamic || object.loads.is_empty() => {
            Verdict::Fatal("Exec format error")
        }
        FileState::Object(object) => Verdict::Fit(object),
    }
}

fn wrong_order(wanted: Target) -> &'static str {
    if wanted.little {
        "ELF file data encoding not little-endian"
    } else {
        "ELF file data encoding not big-endian"
    }
}
