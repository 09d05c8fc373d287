//! Superblocks: of whatever type the bytes are taken to be, what they say of themselves is read
//! to an end.

use newroot::probe::condition;
use newroot::probe::health::volumes;

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    for kind in ["ext4", "xfs", "btrfs", "vfat", "ntfs"] {
        let _condition = condition::of(kind, data);
        if let Some(state) = volumes::of_medium(kind, data) {
            assert!(state.errors.is_none_or(|why| why.len() < 512));
        }
    }
}
