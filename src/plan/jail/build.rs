//! The steps that make a new jail.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::facts::Choices;
use super::wanted::Wanted;
use crate::model::{Entry, EntryKind, Kind, MANIFEST, RootPath};
use crate::plan::{FileOp, Op, Owner, Place, Source, Step};

/// A jail as a list of steps.
#[derive(Clone, Debug, Default)]
pub struct JailPlan {
    /// In order; the manifest is the last.
    pub steps: Vec<Step>,
    /// What the manifest will list, sums not filled in.
    pub entries: Vec<Entry>,
    /// Set-id bits that are left out.
    pub dropped: Vec<(RootPath, u32)>,
}

/// Plans a new jail: links at the top first (merged /usr), directories from the top down, files,
/// the other links and nodes, what newroot writes itself, then owners and times of directories,
/// the manifest last.
#[must_use]
pub fn build(wanted: BTreeMap<RootPath, Wanted>, choices: &Choices) -> JailPlan {
    let mut stages: [Vec<FileOp>; 6] = Default::default();
    for (path, one) in &wanted {
        let ops = create(one, choices);
        let stage = match one.entry.kind {
            EntryKind::Link if path.parent() == RootPath::root() => 0,
            EntryKind::Directory => 1,
            EntryKind::File if one.bytes.is_some() => 4,
            EntryKind::File if one.entry.link_of.is_none() => 2,
            _ => 3,
        };
        stages[stage].extend(ops);
    }
    stages[1].insert(0, hidden_directory());
    // From the bottom up, so that a mode which shuts a directory comes when all below is done.
    stages[5] = wanted
        .values()
        .rev()
        .filter(|one| one.entry.kind == EntryKind::Directory)
        .map(|one| finish(one, choices))
        .collect();
    stages[5].push(FileOp::Manifest {
        path: RootPath::new(MANIFEST),
    });
    let dropped = dropped(&wanted);
    JailPlan {
        steps: steps(stages.into_iter().flatten(), choices),
        // The top itself may be a mount point, whose owner and mode are somebody else's business.
        entries: wanted
            .into_values()
            .map(|one| one.entry)
            .filter(|entry| entry.path != RootPath::root())
            .collect(),
        dropped,
    }
}

pub(super) fn dropped(wanted: &BTreeMap<RootPath, Wanted>) -> Vec<(RootPath, u32)> {
    wanted
        .iter()
        .filter(|(_, one)| one.dropped != 0)
        .map(|(path, one)| (path.clone(), one.dropped))
        .collect()
}

pub(super) fn steps(ops: impl Iterator<Item = FileOp>, choices: &Choices) -> Vec<Step> {
    ops.map(|op| Step {
        place: Place::Host,
        op: Op::File(op),
        base: choices.base.clone(),
    })
    .collect()
}

/// The directory of the manifest.
fn hidden_directory() -> FileOp {
    FileOp::MakeDir {
        path: RootPath::new(MANIFEST).parent(),
        mode: 0o755,
        owner: None,
    }
}

/// The operations that make one path; for a directory without [`finish`].
pub(super) fn create(one: &Wanted, choices: &Choices) -> Vec<FileOp> {
    let entry = &one.entry;
    let path = entry.path.clone();
    let owner = owner_of(entry, choices);
    match entry.kind {
        EntryKind::Directory if path == RootPath::root() => Vec::new(),
        EntryKind::Directory => vec![FileOp::MakeDir {
            path,
            mode: entry.mode,
            owner: None,
        }],
        EntryKind::Link => {
            let target = entry.target.clone().unwrap_or_default();
            let made = FileOp::Symlink {
                path: path.clone(),
                target: PathBuf::from(OsStr::from_bytes(&target.0)),
            };
            let like_source =
                (owner.is_some() || one.modified.is_some()).then_some(FileOp::Finish {
                    path,
                    mode: None,
                    owner,
                    modified: one.modified,
                    like: None,
                });
            std::iter::once(made).chain(like_source).collect()
        }
        EntryKind::Char | EntryKind::Block => {
            let (major, minor) = entry.device.unwrap_or_default();
            let kind = if entry.kind == EntryKind::Block {
                Kind::BlockDevice
            } else {
                Kind::CharDevice
            };
            vec![FileOp::Node {
                path,
                kind,
                major,
                minor,
                mode: entry.mode,
            }]
        }
        EntryKind::File => vec![file(one, choices, owner)],
    }
}

fn file(one: &Wanted, choices: &Choices, owner: Option<Owner>) -> FileOp {
    let entry = &one.entry;
    let path = entry.path.clone();
    if let Some(bytes) = &one.bytes {
        return FileOp::Write {
            path,
            bytes: bytes.clone(),
            mode: entry.mode,
        };
    }
    if let Some(existing) = &entry.link_of {
        return FileOp::HardLink {
            existing: existing.clone(),
            path,
        };
    }
    FileOp::Copy {
        source: source(entry, choices),
        path,
        size: entry.size,
        mode: entry.mode,
        owner,
        keep_capabilities: one.keep_capabilities,
    }
}

/// Owner, mode, attributes and times of a directory in which everything is done.
pub(super) fn finish(one: &Wanted, choices: &Choices) -> FileOp {
    let entry = &one.entry;
    FileOp::Finish {
        path: entry.path.clone(),
        mode: Some(entry.mode),
        owner: owner_of(entry, choices),
        modified: one.modified,
        like: entry.source.is_some().then(|| source(entry, choices)),
    }
}

fn owner_of(entry: &Entry, choices: &Choices) -> Option<Owner> {
    choices.owners.then_some(Owner {
        uid: entry.uid,
        gid: entry.gid,
    })
}

fn source(entry: &Entry, choices: &Choices) -> Source {
    let path = entry.source.clone().unwrap_or_else(|| entry.path.clone());
    let shown = choices.from.shown_inside(&path);
    Source { path, shown }
}
