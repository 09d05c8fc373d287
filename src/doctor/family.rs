//! Which distributions are repaired by the same commands.

use crate::probe::osrelease::OsRelease;

/// Distributions that are repaired by the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Debian, Ubuntu and their children.
    Debian,
    /// Fedora, RHEL and their rebuilds.
    Fedora,
    /// Arch and its children.
    Arch,
    /// openSUSE, SLES.
    Suse,
    /// Alpine.
    Alpine,
    /// Gentoo.
    Gentoo,
    /// NixOS.
    NixOs,
    /// Void.
    Void,
    /// Anything else.
    Other,
}

impl Family {
    /// By `ID`, then by `ID_LIKE`.
    #[must_use]
    pub fn of(os: &OsRelease) -> Self {
        let table: [(Self, &[&str]); 8] = [
            (Self::NixOs, &["nixos"]),
            (
                Self::Suse,
                &[
                    "opensuse",
                    "suse",
                    "sles",
                    "opensuse-tumbleweed",
                    "opensuse-leap",
                ],
            ),
            (
                Self::Fedora,
                &[
                    "fedora",
                    "rhel",
                    "centos",
                    "rocky",
                    "almalinux",
                    "ol",
                    "amzn",
                ],
            ),
            (Self::Debian, &["debian", "ubuntu"]),
            (Self::Arch, &["arch", "archlinux", "archarm", "manjaro"]),
            (Self::Alpine, &["alpine", "postmarketos"]),
            (Self::Gentoo, &["gentoo"]),
            (Self::Void, &["void"]),
        ];
        table
            .iter()
            .find(|(_, ids)| ids.iter().any(|id| os.is_like(id)))
            .map_or(Self::Other, |(family, _)| *family)
    }
}
