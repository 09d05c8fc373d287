//! What a partition's type says it is for (Discoverable Partitions Specification, and MBR codes).

/// A use of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// EFI system partition.
    Esp,
    /// Extended boot loader partition.
    Xbootldr,
    /// A root filesystem, for the architecture named.
    Root(&'static str),
    /// A /usr filesystem, for the architecture named.
    Usr(&'static str),
    /// Swap.
    Swap,
    /// /home
    Home,
    /// /srv
    Srv,
    /// /var
    Var,
    /// /var/tmp
    VarTmp,
    /// Any Linux filesystem: what most installers use for everything.
    Linux,
    /// LVM physical volume.
    Lvm,
    /// Member of an md array.
    Raid,
    /// LUKS.
    Luks,
    /// Where GRUB's core image lies on GPT disks booted by BIOS.
    BiosBoot,
    /// Windows data, reserved or recovery.
    Microsoft,
    /// Anything else.
    Other,
}

const GUIDS: &[(&str, PartitionKind)] = &[
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", PartitionKind::Esp),
    (
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",
        PartitionKind::Xbootldr,
    ),
    (
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        PartitionKind::Root("amd64"),
    ),
    (
        "44479540-f297-41b2-9af7-d131d5f0458a",
        PartitionKind::Root("i386"),
    ),
    (
        "b921b045-1df0-41c3-af44-4c6f280d3fae",
        PartitionKind::Root("arm64"),
    ),
    (
        "69dad710-2ce4-4e3c-b16c-21a1d49abed3",
        PartitionKind::Root("armhf"),
    ),
    (
        "72ec70a6-cf74-40e6-bd49-4bda08e8f224",
        PartitionKind::Root("riscv64"),
    ),
    (
        "77055800-792c-4f94-b39a-98c91b762bb6",
        PartitionKind::Root("loong64"),
    ),
    (
        "8484680c-9521-48c6-9c11-b0720656f69e",
        PartitionKind::Usr("amd64"),
    ),
    (
        "b0e01050-ee5f-4390-949a-9101b17104e9",
        PartitionKind::Usr("arm64"),
    ),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", PartitionKind::Swap),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", PartitionKind::Home),
    ("3b8f8425-20e0-4f3b-907f-1a25a76f98e8", PartitionKind::Srv),
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", PartitionKind::Var),
    (
        "7ec6f557-3bc5-4aca-b293-16ef5df639d1",
        PartitionKind::VarTmp,
    ),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", PartitionKind::Linux),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", PartitionKind::Lvm),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", PartitionKind::Raid),
    ("ca7d7ccb-63ed-4c53-861c-1742536059cc", PartitionKind::Luks),
    (
        "21686148-6449-6e6f-744e-656564454649",
        PartitionKind::BiosBoot,
    ),
    (
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",
        PartitionKind::Microsoft,
    ),
    (
        "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
        PartitionKind::Microsoft,
    ),
    (
        "de94bba4-06d1-4d40-a16a-bfd50179d6ac",
        PartitionKind::Microsoft,
    ),
];

impl PartitionKind {
    /// The use that a type GUID stands for; lower case.
    #[must_use]
    pub fn of_guid(guid: &str) -> Self {
        let found = GUIDS.iter().find(|(known, _)| *known == guid);
        found.map_or(Self::Other, |(_, kind)| *kind)
    }

    /// The use that an MBR type stands for.
    #[must_use]
    pub fn of_mbr(code: u8) -> Self {
        match code {
            0xef => Self::Esp,
            0xea => Self::Xbootldr,
            0x82 => Self::Swap,
            0x83 => Self::Linux,
            0x8e => Self::Lvm,
            0xfd => Self::Raid,
            0x07 | 0x27 => Self::Microsoft,
            _ => Self::Other,
        }
    }

    /// The use that blkid's PART_ENTRY_TYPE stands for: a GUID, or `0x83`.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        match code
            .strip_prefix("0x")
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            Some(code) => Self::of_mbr(code),
            None => Self::of_guid(&code.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_tables_are_understood() {
        let table = [
            ("0xef", PartitionKind::Esp),
            ("0x83", PartitionKind::Linux),
            ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", PartitionKind::Esp),
            (
                "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
                PartitionKind::Root("amd64"),
            ),
            ("", PartitionKind::Other),
            ("0xzz", PartitionKind::Other),
        ];
        for (code, kind) in table {
            assert_eq!(PartitionKind::of_code(code), kind, "{code}");
        }
    }
}
