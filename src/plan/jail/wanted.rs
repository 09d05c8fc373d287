//! Everything that a jail shall hold, by path, each path once.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};

use super::facts::{Choices, Facts, Found, Made, MadeWhat, What};
use crate::model::{Entry, EntryKind, FileId, Kind, Map, RootPath, Text};
use crate::plan::Owner;

/// Set-user-id and set-group-id.
pub(super) const SET_ID: u32 = 0o6000;

/// What MAXSYMLINKS is in the kernel.
const MAX_LINKS: usize = 40;

/// One path of the jail as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As the manifest will list it; sums are filled in when it is copied.
    pub entry: Entry,
    /// Modification time of the source.
    pub modified: Option<(i64, u32)>,
    /// Content of a file that newroot makes.
    pub bytes: Option<Vec<u8>>,
    /// File capabilities are copied.
    pub keep_capabilities: bool,
    /// Set-id bits of the source that are left out.
    pub dropped: u32,
}

/// Lays what is made over what was found.
#[must_use]
pub fn wanted(facts: &Facts, made: &[Made], choices: &Choices) -> BTreeMap<RootPath, Wanted> {
    let mut names: Map<FileId, (RootPath, u32)> = Map::default();
    let copied = facts.found.iter().map(|(path, found)| {
        let mut one = from_found(path, found, facts, choices);
        if found.what == What::File && found.meta.links > 1 {
            let mode = one.entry.mode;
            let (first, its_mode) = names
                .entry(found.meta.id)
                .or_insert_with(|| (path.clone(), mode));
            if first != path && *its_mode == mode {
                one.entry.link_of = Some(first.clone());
            }
        }
        (path.clone(), one)
    });
    let mut all: BTreeMap<RootPath, Wanted> = copied.collect();
    // Links first: what else is made may lie behind one.
    let is_link = |item: &&Made| matches!(item.what, MadeWhat::Link { .. });
    for item in made.iter().filter(is_link) {
        lay(&mut all, item, choices);
    }
    for item in made.iter().filter(|item| !is_link(item)) {
        lay(&mut all, item, choices);
    }
    add_parents(&mut all, choices);
    all
}

fn from_found(path: &RootPath, found: &Found, facts: &Facts, choices: &Choices) -> Wanted {
    let meta = &found.meta;
    let (kind, target, device) = match &found.what {
        What::Directory => (EntryKind::Directory, None, None),
        What::File => (EntryKind::File, None, None),
        What::Link(target) => (EntryKind::Link, Some(text(target)), None),
        What::Node if meta.kind == Kind::BlockDevice => {
            (EntryKind::Block, None, Some(numbers(meta.rdev)))
        }
        What::Node => (EntryKind::Char, None, Some(numbers(meta.rdev))),
    };
    // On a directory set-group-id is about the group of new files, not a privilege; without the
    // owner it was meant for it is neither.
    let keep = (kind == EntryKind::Directory || found.keep_privileges) && choices.owners;
    let dropped = if keep { 0 } else { meta.mode & SET_ID };
    let owner = if choices.owners {
        Owner {
            uid: meta.uid,
            gid: meta.gid,
        }
    } else {
        choices.builder
    };
    let reason = |index: &u32| facts.reasons.get(*index as usize).cloned();
    Wanted {
        entry: Entry {
            path: path.clone(),
            kind,
            source: Some(path.clone()),
            package: None,
            link_of: None,
            size: if kind == EntryKind::File {
                meta.size
            } else {
                0
            },
            mode: if kind == EntryKind::Link {
                0
            } else {
                meta.mode & !dropped
            },
            uid: owner.uid,
            gid: owner.gid,
            blake3: None,
            target,
            device,
            why: found.reasons.iter().filter_map(reason).collect(),
        },
        modified: Some(meta.modified),
        bytes: None,
        keep_capabilities: found.keep_privileges && choices.owners,
        dropped: if kind == EntryKind::File { dropped } else { 0 },
    }
}

fn lay(all: &mut BTreeMap<RootPath, Wanted>, item: &Made, choices: &Choices) {
    if !choices.nodes && matches!(item.what, MadeWhat::Node { .. }) {
        return;
    }
    let path = place(all, &item.path);
    if let Some(there) = all.get_mut(&path) {
        if item.weak {
            if !there.entry.why.contains(&item.reason) {
                there.entry.why.push(item.reason.clone());
            }
            return;
        }
        let is_directory = matches!(item.what, MadeWhat::Directory { .. });
        if (there.entry.kind == EntryKind::Directory) != is_directory {
            // A directory that holds what was found cannot become something else.
            return;
        }
    }
    let one = from_made(&path, item, choices);
    all.insert(path, one);
}

fn from_made(path: &RootPath, item: &Made, choices: &Choices) -> Wanted {
    let root = if choices.owners {
        Owner { uid: 0, gid: 0 }
    } else {
        choices.builder
    };
    let mut entry = Entry {
        path: path.clone(),
        kind: EntryKind::File,
        source: None,
        package: None,
        link_of: None,
        size: 0,
        mode: 0,
        uid: root.uid,
        gid: root.gid,
        blake3: None,
        target: None,
        device: None,
        why: vec![item.reason.clone()],
    };
    let mut bytes = None;
    match &item.what {
        MadeWhat::Directory { mode, owner } => {
            entry.kind = EntryKind::Directory;
            entry.mode = *mode;
            if let Some(owner) = owner.filter(|_| choices.owners) {
                (entry.uid, entry.gid) = (owner.uid, owner.gid);
            }
        }
        MadeWhat::Link { target } => {
            entry.kind = EntryKind::Link;
            entry.target = Some(text(target));
        }
        MadeWhat::Write { bytes: all, mode } => {
            entry.mode = *mode;
            entry.size = all.len() as u64;
            bytes = Some(all.clone());
        }
        MadeWhat::Node {
            kind,
            major,
            minor,
            mode,
        } => {
            entry.kind = if *kind == Kind::BlockDevice {
                EntryKind::Block
            } else {
                EntryKind::Char
            };
            entry.mode = *mode;
            entry.device = Some((*major, *minor));
        }
    }
    Wanted {
        entry,
        modified: None,
        bytes,
        keep_capabilities: false,
        dropped: 0,
    }
}

/// Where `path` leads inside the jail-to-be: links on the way followed, the last one too.
pub(super) fn place(all: &BTreeMap<RootPath, Wanted>, path: &RootPath) -> RootPath {
    let mut pending: Vec<PathBuf> = Vec::new();
    push_reversed(&mut pending, path.as_path());
    let mut at = RootPath::root();
    let mut followed = 0;
    while let Some(name) = pending.pop() {
        if name.as_os_str() == ".." {
            at = at.parent();
            continue;
        }
        let next = at.join(&name);
        let target = all.get(&next).and_then(|one| one.entry.target.as_ref());
        match target {
            Some(target) if followed < MAX_LINKS => {
                followed += 1;
                let target = PathBuf::from(std::ffi::OsStr::from_bytes(&target.0));
                if target.is_absolute() {
                    at = RootPath::root();
                }
                push_reversed(&mut pending, &target);
            }
            _ => at = next,
        }
    }
    at
}

fn push_reversed(pending: &mut Vec<PathBuf>, path: &std::path::Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => pending.push(PathBuf::from(name)),
            Component::ParentDir => pending.push(PathBuf::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// Directories above what is made and that nobody named.
fn add_parents(all: &mut BTreeMap<RootPath, Wanted>, choices: &Choices) {
    let mut missing = BTreeMap::new();
    let mut last = None;
    for (path, one) in &*all {
        // Names of one directory follow each other.
        let directory = path.as_path().parent();
        if directory == last {
            continue;
        }
        last = directory;
        let mut above = path.parent();
        while !all.contains_key(&above) && !missing.contains_key(&above) {
            let reason = one.entry.why.first().cloned();
            missing.insert(above.clone(), reason.unwrap_or_default());
            above = above.parent();
        }
    }
    for (path, reason) in missing {
        let item = Made {
            path: path.clone(),
            what: MadeWhat::Directory {
                mode: 0o755,
                owner: None,
            },
            reason,
            weak: true,
        };
        all.insert(path.clone(), from_made(&path, &item, choices));
    }
}

fn text(path: &std::path::Path) -> Text {
    Text(path.as_os_str().as_bytes().to_vec())
}

/// A `dev_t` as Linux packs it in 64 bits (makedev(3)).
fn numbers(device: u64) -> (u32, u32) {
    let major = ((device >> 32) & 0xffff_f000) | ((device >> 8) & 0xfff);
    let minor = ((device >> 12) & 0xffff_ff00) | (device & 0xff);
    (
        u32::try_from(major).unwrap_or(u32::MAX),
        u32::try_from(minor).unwrap_or(u32::MAX),
    )
}
