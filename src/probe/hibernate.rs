//! A hibernated system: its memory lies in a swap area, and its filesystems are as that memory
//! left them. Writing to them, or replaying their journals, destroys both.

use super::partitions::Medium;

/// What the kernel and userspace suspend write where `SWAPSPACE2` stood.
const SIGNATURES: &[&[u8]] = &[b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];

/// Where a page can end, less the ten bytes of the signature.
const PLACES: &[u64] = &[0xff6, 0x1ff6, 0x3ff6, 0x7ff6, 0xfff6];

/// Whether a hibernation image begins on `medium` at `base`: at the start of a swap partition,
/// or where a swap file begins.
pub fn is_hibernated(medium: &(impl Medium + ?Sized), base: u64) -> bool {
    PLACES.iter().any(|place| {
        let found = base.checked_add(*place).and_then(|at| medium.bytes(at, 10));
        found.is_some_and(|found| SIGNATURES.iter().any(|mark| found.starts_with(mark)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_at_every_page_size() {
        for place in PLACES {
            for mark in SIGNATURES {
                let mut bytes = vec![0; 0x10000];
                let at = usize::try_from(*place).unwrap();
                bytes[at..at + mark.len()].copy_from_slice(mark);
                assert!(is_hibernated(&bytes[..], 0));
                assert!(!is_hibernated(&bytes[..], 512));
            }
        }
        assert!(!is_hibernated(&[0; 100][..], 0));
    }
}
