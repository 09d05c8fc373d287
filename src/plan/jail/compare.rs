//! How a jail differs from its manifest.

use std::collections::BTreeMap;

use crate::model::{Entry, EntryKind, RootPath, Text};

/// One path as it stands in a jail now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// `None` for what a manifest never lists (a FIFO, a socket).
    pub kind: Option<EntryKind>,
    /// Permission bits; 0 for a link.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length of a file.
    pub size: u64,
    /// BLAKE3 of a file, where it was asked for.
    pub blake3: Option<String>,
    /// Text of a link.
    pub target: Option<Text>,
    /// Device number of a node.
    pub device: Option<(u32, u32)>,
}

/// One thing that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: RootPath,
    /// What.
    pub change: Change,
}

/// The kinds of differences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Listed and not there.
    Missing,
    /// Something else stands there: what was listed, what is there.
    Kind(EntryKind, Option<EntryKind>),
    /// Other content.
    Content,
    /// Other permission bits: listed, there.
    Mode(u32, u32),
    /// Another owner: listed, there.
    Owner((u32, u32), (u32, u32)),
    /// A link leads elsewhere: listed, there.
    Target(String, String),
    /// Another device number.
    Device,
    /// There and not listed.
    Added,
    /// Made by a change that was cut short.
    Half,
}

impl Change {
    /// Whether it is a difference, and not merely something to know.
    #[must_use]
    pub fn counts(&self) -> bool {
        *self != Self::Added
    }

    /// The word for tables and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Kind(..) => "kind",
            Self::Content => "content",
            Self::Mode(..) => "mode",
            Self::Owner(..) => "owner",
            Self::Target(..) => "target",
            Self::Device => "device",
            Self::Added => "added",
            Self::Half => "half",
        }
    }
}

/// Every difference, by path.
#[must_use]
pub fn compare(entries: &[Entry], actual: &BTreeMap<RootPath, Actual>) -> Vec<Difference> {
    let listed: BTreeMap<&RootPath, &Entry> =
        entries.iter().map(|entry| (&entry.path, entry)).collect();
    let mut out = Vec::new();
    for entry in entries {
        let changes = actual
            .get(&entry.path)
            .map_or_else(|| vec![Change::Missing], |there| changes(entry, there));
        out.extend(changes.into_iter().map(|change| Difference {
            path: entry.path.clone(),
            change,
        }));
    }
    let top = RootPath::root();
    let added = actual
        .keys()
        .filter(|path| **path != top && !listed.contains_key(*path));
    out.extend(added.map(|path| Difference {
        path: path.clone(),
        change: Change::Added,
    }));
    out.sort_by(|left, right| left.path.cmp(&right.path));
    out
}

/// How one path differs from its entry.
pub(super) fn changes(entry: &Entry, there: &Actual) -> Vec<Change> {
    if there.kind != Some(entry.kind) {
        return vec![Change::Kind(entry.kind, there.kind)];
    }
    let mut out = Vec::new();
    let other_sum = match (&entry.blake3, &there.blake3) {
        (Some(listed), Some(found)) => listed != found,
        _ => entry.size != there.size,
    };
    if entry.kind == EntryKind::File && other_sum {
        out.push(Change::Content);
    }
    if entry.kind == EntryKind::Link && entry.target != there.target {
        let shown = |text: &Option<Text>| text.as_ref().map(Text::shown).unwrap_or_default();
        out.push(Change::Target(shown(&entry.target), shown(&there.target)));
    }
    if entry.device != there.device {
        out.push(Change::Device);
    }
    if entry.kind != EntryKind::Link && entry.mode != there.mode {
        out.push(Change::Mode(entry.mode, there.mode));
    }
    if (entry.uid, entry.gid) != (there.uid, there.gid) {
        out.push(Change::Owner(
            (entry.uid, entry.gid),
            (there.uid, there.gid),
        ));
    }
    out
}
