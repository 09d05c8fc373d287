//! A root that lacks mount points: an empty tmpfs takes its place, its own entries are bound in.

use std::ffi::OsStr;
use std::path::Path;

use super::{Builder, Entry, Facts, MOUNT_POINTS};
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
    let gets_usr = plan
        .facts
        .binds
        .iter()
        .any(|bind| bind.target.normalized() == RootPath::new("/usr"));
    if gets_usr {
        merge_usr(plan);
    }
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

/// With the host's /usr its programs look for their loader through the host's links: /lib64.
fn merge_usr(plan: &mut Builder<'_>) {
    for (name, target) in &plan.facts.host_links {
        let into_usr = target
            .strip_prefix("/")
            .unwrap_or(target)
            .starts_with("usr");
        if into_usr && entry(plan.facts, name).is_none() {
            plan.file(FileOp::Symlink {
                path: RootPath::new(name),
                target: target.clone(),
            });
        }
    }
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
