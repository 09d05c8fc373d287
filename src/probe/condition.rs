//! What a superblock says of its own filesystem: errors that the kernel noted, files that were
//! deleted while open, an NTFS that Windows did not leave clean.
//!
//! Pure over [`Medium`].

use super::partitions::{Medium, le32, le64};

/// What is known of a filesystem before it is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// ext4 lists files that were deleted while open: its driver takes them away even on a
    /// read-only mount without journal (ext4_orphan_cleanup), unless the device refuses writes.
    pub orphans: bool,
    /// It is marked as having errors.
    pub errors: bool,
    /// NTFS: marked dirty, or Windows is hibernated.
    pub dirty_ntfs: bool,
}

/// Looks at a filesystem of type `kind`. What cannot be read counts as an ext4 with orphans: that
/// costs a shield, no more.
pub fn of(kind: &str, medium: &(impl Medium + ?Sized)) -> Condition {
    match kind {
        "ext2" | "ext3" | "ext4" => ext(medium),
        "xfs" => Condition {
            errors: xfs_needs_repair(medium).unwrap_or(false),
            ..Condition::default()
        },
        "vfat" => Condition {
            errors: fat_has_errors(medium).unwrap_or(false),
            ..Condition::default()
        },
        "ntfs" => Condition {
            dirty_ntfs: ntfs_is_dirty(medium).unwrap_or(true),
            ..Condition::default()
        },
        _ => Condition::default(),
    }
}

/// struct ext4_super_block: s_state at 0x3a, s_last_orphan at 0xe8, the orphan file's flag is bit
/// 16 of s_feature_ro_compat.
fn ext(medium: &(impl Medium + ?Sized)) -> Condition {
    const ERROR_FS: u8 = 2;
    const ORPHAN_PRESENT: u8 = 1;
    match medium.bytes(1024, 1024) {
        None => Condition {
            orphans: true,
            ..Condition::default()
        },
        Some(block) => Condition {
            orphans: block[0xe8..0xec] != [0; 4] || block[0x66] & ORPHAN_PRESENT != 0,
            errors: block[0x3a] & ERROR_FS != 0,
            dirty_ntfs: false,
        },
    }
}

/// XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR in sb_features_incompat, big-endian at 216; version 5 only.
fn xfs_needs_repair(medium: &(impl Medium + ?Sized)) -> Option<bool> {
    const NEEDS_REPAIR: u8 = 1 << 4;
    let block = medium.bytes(0, 512)?;
    Some(block.starts_with(b"XFSB") && block[101] & 0xf == 5 && block[219] & NEEDS_REPAIR != 0)
}

/// The first reserved bytes of the FAT boot sector: bit 1 means that the disk failed (bit 0,
/// "not unmounted", is what every stick has that was pulled out).
fn fat_has_errors(medium: &(impl Medium + ?Sized)) -> Option<bool> {
    const DISK_ERROR: u8 = 2;
    let block = medium.bytes(0, 512)?;
    let is_32 = block[0x16..0x18] == [0, 0];
    Some(block[if is_32 { 0x41 } else { 0x25 }] & DISK_ERROR != 0)
}

/// The dirty flag of NTFS: $VOLUME_INFORMATION (attribute 0x70) of MFT record 3.
fn ntfs_is_dirty(medium: &(impl Medium + ?Sized)) -> Option<bool> {
    const DIRTY: u8 = 1;
    let boot = medium.bytes(0, 512)?;
    let sector = u64::from(u16::from_le_bytes([boot[0x0b], boot[0x0c]]));
    let cluster = sector.checked_mul(u64::from(boot[0x0d]))?;
    let table = le64(&boot, 0x30).checked_mul(cluster)?;
    // Negative: a power of two in bytes.
    let record = match boot[0x40].cast_signed() {
        small @ -31..=-1 => 1_u64 << small.unsigned_abs(),
        large @ 1.. => u64::from(large.unsigned_abs()).checked_mul(cluster)?,
        _ => return None,
    };
    let bytes = medium.bytes(table.checked_add(record.checked_mul(3)?)?, 1024)?;
    if !bytes.starts_with(b"FILE") {
        return None;
    }
    let mut at = usize::from(u16::from_le_bytes([bytes[0x14], bytes[0x15]]));
    while let Some(attribute) = bytes.get(at..at + 0x18) {
        let length = usize::try_from(le32(attribute, 4)).ok()?;
        match le32(attribute, 0) {
            0xffff_ffff => return None,
            0x70 => {
                let content = usize::from(u16::from_le_bytes([attribute[0x14], attribute[0x15]]));
                let flags = *bytes.get(at.checked_add(content)?.checked_add(10)?)?;
                return Some(flags & DIRTY != 0);
            }
            _ if length < 0x18 => return None,
            _ => at = at.checked_add(length)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_ext_xfs_and_fat() {
        let with = |length: usize, at: &[(usize, &[u8])]| {
            let mut bytes = vec![0; length];
            for (at, what) in at {
                bytes[*at..*at + what.len()].copy_from_slice(what);
            }
            bytes
        };
        let table = [
            ("ext4", with(4096, &[]), (false, false)),
            ("ext4", with(4096, &[(1024 + 0x3a, &[2])]), (true, false)),
            ("ext2", with(4096, &[(1024 + 0xe8, &[9])]), (false, true)),
            ("ext4", with(4096, &[(1024 + 0x66, &[1])]), (false, true)),
            ("ext4", with(10, &[]), (false, true)),
            (
                "xfs",
                with(512, &[(0, b"XFSB"), (101, &[0xb5]), (219, &[16])]),
                (true, false),
            ),
            (
                "xfs",
                with(512, &[(0, b"XFSB"), (101, &[0xb4]), (219, &[16])]),
                (false, false),
            ),
            ("vfat", with(512, &[(0x41, &[2])]), (true, false)),
            ("vfat", with(512, &[(0x41, &[1])]), (false, false)),
            (
                "vfat",
                with(512, &[(0x16, &[1]), (0x25, &[2])]),
                (true, false),
            ),
            ("btrfs", with(512, &[]), (false, false)),
        ];
        for (at, (kind, bytes, wanted)) in table.into_iter().enumerate() {
            let found = of(kind, &bytes[..]);
            assert_eq!((found.errors, found.orphans), wanted, "row {at}, {kind}");
        }
    }

    #[test]
    fn the_dirty_flag_of_ntfs() {
        let mut bytes = vec![0; 64 << 10];
        bytes[0x0b..0x0d].copy_from_slice(&512_u16.to_le_bytes());
        bytes[0x0d] = 8;
        bytes[0x30] = 4;
        bytes[0x40] = 0xf6;
        let record = 4 * 4096 + 3 * 1024;
        bytes[record..record + 4].copy_from_slice(b"FILE");
        bytes[record + 0x14] = 0x38;
        bytes[record + 0x38] = 0x10;
        bytes[record + 0x3c] = 0x60;
        let second = record + 0x98;
        bytes[second] = 0x70;
        bytes[second + 4] = 0x28;
        bytes[second + 0x14] = 0x18;
        assert!(!of("ntfs", &bytes[..]).dirty_ntfs);
        bytes[second + 0x18 + 10] = 1;
        assert!(of("ntfs", &bytes[..]).dirty_ntfs);
        // A length of zero must not go round for ever, and what is no record is not clean.
        bytes[record + 0x3c] = 0;
        assert!(of("ntfs", &bytes[..]).dirty_ntfs);
        assert!(of("ntfs", &[0; 512][..]).dirty_ntfs);
        bytes[0x30..0x38].copy_from_slice(&[0xff; 8]);
        assert!(of("ntfs", &bytes[..]).dirty_ntfs);
    }
}
