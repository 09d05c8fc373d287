//! The steps that bring an existing jail up to date, file by file, without touching what somebody
//! edited or added.

use std::collections::{BTreeMap, BTreeSet};

use super::JailPlan;
use super::build::{create, dropped, finish, steps};
use super::compare::{Actual, changes};
use super::facts::Choices;
use super::wanted::Wanted;
use crate::model::{Entry, EntryKind, MANIFEST, PENDING, RootPath};
use crate::plan::FileOp;

/// Why a path was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was changed since the jail was built, and the source wants it otherwise.
    Edited,
    /// Nobody needs it any more, but it was changed.
    EditedAndUnneeded,
    /// Something that newroot did not put there stands where a new file would go.
    InTheWay,
}

/// What an update does.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The steps, and the entries of the new manifest.
    pub plan: JailPlan,
    /// Paths that are new.
    pub created: Vec<RootPath>,
    /// Paths that are replaced.
    pub changed: Vec<RootPath>,
    /// Paths that are taken away.
    pub removed: Vec<RootPath>,
    /// Paths that were gone and are put back.
    pub restored: Vec<RootPath>,
    /// Paths that a change which was cut short left, and that are made anew.
    pub finished: Vec<RootPath>,
    /// Paths that are left alone.
    pub kept: Vec<(RootPath, Kept)>,
}

/// Compares what the jail should hold with what it holds.
///
/// `wanted` has its sums filled in (of the sources), `actual` is the whole jail with the sums of
/// what either list names, `half` is what a change that was cut short left ([`super::half_made`]).
#[must_use]
pub fn update(
    old: &[Entry],
    wanted: &BTreeMap<RootPath, Wanted>,
    half: &BTreeMap<RootPath, Entry>,
    actual: &BTreeMap<RootPath, Actual>,
    choices: &Choices,
) -> Update {
    let mut work = Work {
        old: old.iter().map(|entry| (&entry.path, entry)).collect(),
        half,
        pending: Vec::new(),
        actual,
        choices,
        update: Update::default(),
        copied: BTreeSet::new(),
        blocked: None,
        ops: Vec::new(),
        finishing: Vec::new(),
    };
    for one in wanted.values() {
        if one.entry.path != RootPath::root() {
            work.bring(one);
        }
    }
    work.take_away(wanted);
    work.finishing.reverse();
    let pending = (!work.ops.is_empty()).then(|| record(work.pending, half));
    let all = pending.into_iter().chain(work.ops).chain(work.finishing);
    let mut update = work.update;
    let last = FileOp::Manifest {
        path: RootPath::new(MANIFEST),
    };
    update.plan.steps = steps(all.chain([last]), choices);
    update.plan.entries.sort_by(|a, b| a.path.cmp(&b.path));
    update.plan.dropped = dropped(wanted);
    update
}

/// The record of what will be made. What was half made before stays in it: this, too, may be cut
/// short before it comes to that.
fn record(mut entries: Vec<Entry>, half: &BTreeMap<RootPath, Entry>) -> FileOp {
    let made: BTreeSet<RootPath> = entries.iter().map(|entry| entry.path.clone()).collect();
    let before = half.values().filter(|entry| !made.contains(&entry.path));
    entries.extend(before.cloned());
    FileOp::Pending {
        path: RootPath::new(PENDING),
        entries,
    }
}

struct Work<'a> {
    old: BTreeMap<&'a RootPath, &'a Entry>,
    half: &'a BTreeMap<RootPath, Entry>,
    /// What will be made or replaced.
    pending: Vec<Entry>,
    actual: &'a BTreeMap<RootPath, Actual>,
    choices: &'a Choices,
    update: Update,
    /// What this update copies: only such a file may be linked to.
    copied: BTreeSet<RootPath>,
    /// Something that is no directory where one should be: nothing can be brought below it.
    blocked: Option<&'a RootPath>,
    ops: Vec<FileOp>,
    finishing: Vec<FileOp>,
}

impl<'a> Work<'a> {
    fn bring(&mut self, one: &'a Wanted) {
        let path = &one.entry.path;
        let old = self.old.get(path).copied();
        // A map is in the order of its paths: what is below comes right after.
        if self.blocked.is_some_and(|above| path.starts_with(above)) {
            self.update.kept.push((path.clone(), Kept::InTheWay));
            self.update.plan.entries.extend(old.cloned());
            return;
        }
        let Some(there) = self.actual.get(path) else {
            self.make(one);
            let list = if old.is_some() {
                &mut self.update.restored
            } else {
                &mut self.update.created
            };
            list.push(path.clone());
            return;
        };
        // It may lack what cannot be compared here: its times, its attributes.
        if self.half.contains_key(path) {
            self.replace(one, there);
            self.update.finished.push(path.clone());
            return;
        }
        if changes(&one.entry, there).is_empty() {
            self.update.plan.entries.push(one.entry.clone());
            return;
        }
        match old {
            Some(old) if changes(old, there).is_empty() => {
                self.replace(one, there);
                self.update.changed.push(path.clone());
            }
            Some(old) => {
                self.block(one, there);
                self.update.kept.push((path.clone(), Kept::Edited));
                self.update.plan.entries.push(old.clone());
            }
            // A directory that somebody made serves as well as ours would.
            None if one.entry.kind == EntryKind::Directory
                && there.kind == Some(EntryKind::Directory) => {}
            None => {
                self.block(one, there);
                self.update.kept.push((path.clone(), Kept::InTheWay));
            }
        }
    }

    fn block(&mut self, one: &'a Wanted, there: &Actual) {
        let directory = Some(EntryKind::Directory);
        if one.entry.kind == EntryKind::Directory && there.kind != directory {
            self.blocked = Some(&one.entry.path);
        }
    }

    fn make(&mut self, one: &Wanted) {
        let one = self.unlinked(one);
        self.ops.extend(create(&one, self.choices));
        if one.entry.kind == EntryKind::Directory {
            self.finishing.push(finish(&one, self.choices));
        }
        self.done(one.entry, true);
    }

    /// What appears `little_by_little` under its own name has no sum until it is complete.
    fn done(&mut self, entry: Entry, little_by_little: bool) {
        let mut pending = entry.clone();
        if little_by_little {
            pending.blake3 = None;
        }
        self.pending.push(pending);
        self.copied.insert(entry.path.clone());
        self.update.plan.entries.push(entry);
    }

    fn replace(&mut self, one: &Wanted, there: &Actual) {
        let one = self.unlinked(one);
        let path = &one.entry.path;
        let mut little_by_little = false;
        match (one.entry.kind, there.kind) {
            (EntryKind::Directory, Some(EntryKind::Directory)) => {
                self.finishing.push(finish(&one, self.choices));
            }
            (EntryKind::File | EntryKind::Link, Some(EntryKind::File | EntryKind::Link)) => {
                let mut ops = create(&one, self.choices).into_iter();
                if let Some(first) = ops.next() {
                    let with = Box::new(first);
                    self.ops.push(FileOp::Replace { with });
                }
                self.ops.extend(ops);
            }
            (new, was) => {
                little_by_little = true;
                // Only one step cannot do it: what was there goes first.
                let path = path.clone();
                self.ops.push(if was == Some(EntryKind::Directory) {
                    FileOp::RemoveDir { path }
                } else {
                    FileOp::Remove { path }
                });
                self.ops.extend(create(&one, self.choices));
                if new == EntryKind::Directory {
                    self.finishing.push(finish(&one, self.choices));
                }
            }
        }
        self.done(one.entry, little_by_little);
    }

    /// A hard link to a file that is not copied now would tie it to what somebody may have edited.
    fn unlinked(&self, one: &Wanted) -> Wanted {
        let mut one = one.clone();
        let fresh = |existing: &RootPath| self.copied.contains(existing);
        if !one.entry.link_of.as_ref().is_some_and(fresh) {
            one.entry.link_of = None;
        }
        one
    }

    /// What the old manifest lists and nobody needs any more, from the bottom up.
    fn take_away(&mut self, wanted: &BTreeMap<RootPath, Wanted>) {
        let mut ours = self.old.clone();
        ours.extend(self.half);
        let unneeded: Vec<&Entry> = ours
            .into_values()
            .rev()
            .filter(|entry| !wanted.contains_key(&entry.path))
            .collect();
        let mut gone: BTreeSet<&RootPath> = BTreeSet::new();
        for entry in unneeded {
            let Some(there) = self.actual.get(&entry.path) else {
                continue;
            };
            if entry.path == RootPath::root() {
                continue;
            }
            let directory = entry.kind == EntryKind::Directory;
            let occupied = directory && self.holds_more(&entry.path, &gone);
            if occupied {
                // It stays for what somebody put into it.
                continue;
            }
            let half = self.half.contains_key(&entry.path);
            if !directory && !half && !changes(entry, there).is_empty() {
                self.update
                    .kept
                    .push((entry.path.clone(), Kept::EditedAndUnneeded));
                continue;
            }
            let path = entry.path.clone();
            self.ops.push(if directory {
                FileOp::RemoveDir { path }
            } else {
                FileOp::Remove { path }
            });
            gone.insert(&entry.path);
            self.update.removed.push(entry.path.clone());
        }
    }

    fn holds_more(&self, directory: &RootPath, gone: &BTreeSet<&RootPath>) -> bool {
        self.actual
            .range(directory.clone()..)
            .skip(1)
            .take_while(|(path, _)| path.starts_with(directory))
            .any(|(path, _)| !gone.contains(path))
    }
}
