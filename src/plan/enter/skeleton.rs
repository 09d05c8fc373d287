//! A root that lacks mount points: an empty tmpfs takes its place, its own entries are bound in.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Bind, Builder, Entry, Facts, MOUNT_POINTS};
use crate::model::RootPath;
use crate::plan::{BindSource, FileOp, MountOp};

/// The names directly in the root that have to be there and are not (or are no directories).
pub(super) fn missing(facts: &Facts) -> Vec<String> {
    let mut names: Vec<String> = MOUNT_POINTS
        .iter()
        .filter(|name| entry(facts, OsStr::new(name)) != Some(&Entry::Directory))
        .map(|name| (*name).to_owned())
        .collect();
    for bind in &facts.binds {
        let target = bind.target.normalized();
        if bind.target_kind.is_none() && is_missing(facts, &target) {
            let name = first(&target).to_string_lossy().into_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether even the first part of this path is not in the root.
pub(super) fn is_missing(facts: &Facts, path: &RootPath) -> bool {
    let name = first(path);
    !name.is_empty() && entry(facts, name).is_none()
}

pub(super) fn note(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
    format!(
        "the root lacks {}: its / is a temporary one with its entries bound in; what is written \
         directly in / is lost",
        names.join(", ")
    )
}

pub(super) fn build(plan: &mut Builder<'_>) {
    plan.mount(MountOp::Skeleton);
    for name in MOUNT_POINTS {
        plan.directory(name, 0o755);
    }
    for (name, entry) in &plan.facts.entries {
        let ours = MOUNT_POINTS.iter().any(|point| name == point);
        if !ours {
            show(plan, name, entry);
        }
    }
    if entry(plan.facts, OsStr::new("tmp")).is_none() {
        plan.directory("tmp", 0o1777);
    }
    for (name, target) in merged_usr(plan.facts) {
        plan.file(FileOp::Symlink {
            path: RootPath::new(name),
            target: target.clone(),
        });
    }
}

/// The links that are made beside the host's /usr: its programs look for their loader through the
/// host's (/lib64). What the root has, and what another bind puts there, stays.
pub fn merged_usr(facts: &Facts) -> impl Iterator<Item = &(OsString, PathBuf)> {
    let bound = |name: &OsStr| {
        let mut targets = facts.binds.iter().map(|bind| bind.target.normalized());
        targets.any(|target| first(&target) == name)
    };
    let whole_usr = |bind: &Bind| bind.target.normalized() == RootPath::new("/usr");
    let gets_usr = facts.binds.iter().any(whole_usr) && !missing(facts).is_empty();
    facts.host_links.iter().filter(move |(name, target)| {
        gets_usr
            && target
                .strip_prefix("/")
                .unwrap_or(target)
                .starts_with("usr")
            && entry(facts, name).is_none()
            && !bound(name)
    })
}

fn show(plan: &mut Builder<'_>, name: &OsStr, entry: &Entry) {
    let path = RootPath::new(name);
    match entry {
        Entry::Link(target) => {
            return plan.file(FileOp::Symlink {
                path,
                target: target.clone(),
            });
        }
        Entry::Other => return,
        Entry::Directory => plan.directory(path.as_path(), 0o755),
        Entry::File => plan.file(FileOp::Write {
            path: path.clone(),
            bytes: Vec::new(),
            mode: 0o644,
        }),
    }
    plan.mount(MountOp::Bind {
        source: BindSource::Root(path.clone()),
        target: path,
        recursive: true,
        read_only: false,
        over_link: false,
    });
}

/// Makes the first directory of a path that has more than one part.
pub(super) fn first_directory(plan: &mut Builder<'_>, path: &RootPath) {
    if path.parent() != RootPath::root() {
        plan.directory(Path::new(first(path)), 0o755);
    }
}

fn first(path: &RootPath) -> &OsStr {
    path.as_path()
        .components()
        .nth(1)
        .map(|part| part.as_os_str())
        .unwrap_or_default()
}

fn entry<'f>(facts: &'f Facts, name: &OsStr) -> Option<&'f Entry> {
    facts
        .entries
        .iter()
        .find(|(found, _)| found == name)
        .map(|(_, entry)| entry)
}
