//! What a change that was cut short left in a jail: recognised, so that the next change can bring
//! it in order, and so that nothing of somebody else's is taken for it.

use std::collections::BTreeMap;

use super::compare::Actual;
use crate::model::{Entry, EntryKind, RootPath};

/// The mode of a file of ours until it is complete.
pub const UNFINISHED: u32 = 0o600;

/// The paths of `pending` that are there and that no `listed` entry accounts for, each as it was
/// to be.
#[must_use]
pub fn half_made(
    pending: &[Entry],
    listed: &[Entry],
    actual: &BTreeMap<RootPath, Actual>,
) -> BTreeMap<RootPath, Entry> {
    let listed: BTreeMap<&RootPath, &Entry> =
        listed.iter().map(|entry| (&entry.path, entry)).collect();
    let unlisted = |entry: &Entry, there: &Actual| {
        listed
            .get(&entry.path)
            .is_none_or(|old| !super::compare::changes(old, there).is_empty())
    };
    pending
        .iter()
        .filter(|entry| {
            actual
                .get(&entry.path)
                .is_some_and(|there| is_ours(entry, there) && unlisted(entry, there))
        })
        .map(|entry| (entry.path.clone(), entry.clone()))
        .collect()
}

/// Whether `there` may be what a killed change made of `entry`: it, or the beginning of it.
fn is_ours(entry: &Entry, there: &Actual) -> bool {
    if there.kind != Some(entry.kind) {
        return false;
    }
    match entry.kind {
        // Only an empty one is ever taken away.
        EntryKind::Directory => true,
        EntryKind::Link => entry.target == there.target,
        EntryKind::Char | EntryKind::Block => entry.device == there.device,
        EntryKind::File => {
            if entry.blake3.is_some() {
                return entry.blake3 == there.blake3;
            }
            let whole = there.mode == entry.mode && there.size == entry.size;
            whole || (there.mode == UNFINISHED && there.size <= entry.size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Text;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry {
            path: RootPath::new(path),
            kind,
            source: None,
            package: None,
            link_of: None,
            size: if kind == EntryKind::File { 10 } else { 0 },
            mode: 0o755,
            uid: 0,
            gid: 0,
            blake3: None,
            target: (kind == EntryKind::Link).then(|| Text(b"to".to_vec())),
            device: None,
            why: Vec::new(),
        }
    }

    fn actual(of: &Entry, mode: u32, size: u64) -> Actual {
        Actual {
            kind: Some(of.kind),
            mode,
            uid: 0,
            gid: 0,
            size,
            blake3: Some(String::from("there")),
            target: of.target.clone(),
            device: None,
        }
    }

    #[test]
    fn the_beginning_of_a_file_is_ours_and_an_edited_one_is_not() {
        let file = entry("/f", EntryKind::File);
        for (mode, size, ours) in [
            (0o600, 0, true),
            (0o600, 10, true),
            (0o755, 10, true),
            (0o600, 11, false),
            (0o755, 9, false),
            (0o644, 10, false),
        ] {
            let there = BTreeMap::from([(file.path.clone(), actual(&file, mode, size))]);
            let found = half_made(std::slice::from_ref(&file), &[], &there);
            assert_eq!(found.len(), usize::from(ours), "{mode:o} {size}");
        }
        let replaced = Entry {
            blake3: Some(String::from("other")),
            ..file.clone()
        };
        let there = BTreeMap::from([(file.path.clone(), actual(&file, 0o600, 3))]);
        assert!(half_made(&[replaced], &[], &there).is_empty());
    }

    #[test]
    fn what_the_manifest_accounts_for_is_not_half_made() {
        let link = entry("/l", EntryKind::Link);
        let there = BTreeMap::from([(link.path.clone(), actual(&link, 0, 0))]);
        let all = std::slice::from_ref(&link);
        assert!(half_made(all, all, &there).is_empty());
        assert_eq!(half_made(all, &[], &there).len(), 1);
        let mut other = link.clone();
        other.target = Some(Text(b"elsewhere".to_vec()));
        assert!(half_made(&[other], &[], &there).is_empty());
    }
}
