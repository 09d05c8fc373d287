//! The commands of families.

use super::*;
use crate::probe::osrelease::OsRelease;

fn os(id: &str, like: &[&str]) -> OsRelease {
    OsRelease {
        id: id.into(),
        like: like.iter().map(ToString::to_string).collect(),
        ..OsRelease::default()
    }
}

#[test]
fn families_are_known_by_id_and_by_likeness() {
    let table = [
        (os("debian", &[]), Family::Debian),
        (os("ubuntu", &["debian"]), Family::Debian),
        (os("rocky", &["rhel", "centos", "fedora"]), Family::Fedora),
        (
            os("opensuse-tumbleweed", &["opensuse", "suse"]),
            Family::Suse,
        ),
        (os("endeavouros", &["arch"]), Family::Arch),
        (os("alpine", &[]), Family::Alpine),
        (os("slackware", &[]), Family::Other),
    ];
    for (os, family) in table {
        assert_eq!(Family::of(&os), family, "{os:?}");
    }
}

#[test]
fn names_from_disk_are_quoted() {
    let fix = initramfs(Family::Debian, "6.1;reboot");
    assert_eq!(fix.commands[0].line, "update-initramfs -c -k '6.1;reboot'");
}

#[test]
fn fedora_never_gets_grub2_install_on_uefi() {
    let fix = grub_uefi(Family::Fedora, "fedora", "/boot/efi");
    assert!(
        fix.commands
            .iter()
            .all(|it| !it.line.contains("grub2-install"))
    );
}

#[test]
fn btrfs_is_never_repaired_unasked() {
    for command in fsck("btrfs").commands {
        assert!(!command.line.contains("--repair"));
    }
}
