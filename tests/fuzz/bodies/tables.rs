//! fstab and crypttab: no more entries than lines, each with the number of its line.

use newroot::probe::{crypttab, fstab};

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    let parsed = fstab::parse(data);
    assert!(parsed.entries.len() <= lines);
    for entry in &parsed.entries {
        assert!((1..=lines).contains(&entry.line));
        let (_purpose, _optional) = (entry.purpose(), entry.is_optional());
        assert!(entry.depth() <= data.len());
    }
    for entry in crypttab::parse(data) {
        assert!((1..=lines).contains(&entry.line));
        let (_uuid, _volatile) = (entry.uuid(), entry.is_volatile());
    }
}
