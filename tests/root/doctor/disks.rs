//! The doctor on disks: what no directory shows. One copy of the Debian, damaged and mended in turn.

use std::fs;
use std::path::{Path, PathBuf};

use super::debian;
use super::{DEBIAN, PATIENCE, is_only, report};
use crate::disk::{self, sh};
use crate::need::Need;
use crate::trial::Trial;

/// Name, what damages `DISK` (or, after `root:`, the mounted root), what mends it, the finding.
pub(super) type Case = (&'static str, &'static str, &'static str, &'static str);

/// Its root filesystem begins behind 1 MiB of table, 1 MiB for GRUB and 64 MiB of ESP.
const ROOT_OFFSET: u64 = (1 + 1 + 64) << 20;
/// The ESP begins behind the table and GRUB.
const ESP_OFFSET: u64 = (1 + 1) << 20;
const FSTAB: &str = "root: cp -a etc/fstab etc/fstab.mine; ";
const MEND_FSTAB: &str = "root: mv etc/fstab.mine etc/fstab";
/// The table, GRUB's image, the ESP: everything before the root.
const MEND_START: &str = "dd if=FRESH of=DISK bs=1M count=66 conv=notrunc status=none";

pub(super) const CASES: &[Case] = &[
    (
        "no boot code",
        "dd if=/dev/zero of=DISK bs=440 count=1 conv=notrunc status=none",
        MEND_START,
        "bootloader-missing",
    ),
    (
        "GRUB's image wiped",
        "dd if=/dev/zero of=DISK bs=1M seek=1 count=1 conv=notrunc status=none",
        MEND_START,
        "bootloader-damaged",
    ),
    (
        "the filesystem is marked as damaged",
        "debugfs -w -R 'ssv state 3' 'DISK?offset=OFFSET' 2>/dev/null",
        "debugfs -w -R 'ssv state 1' 'DISK?offset=OFFSET' 2>/dev/null",
        "filesystem-errors",
    ),
    (
        "a full disk",
        "root: fallocate -l $(df -B1 --output=avail . | tail -1) full",
        "root: rm full",
        "full",
    ),
    (
        "fstab wants a disk that is gone",
        "echo 'UUID=77c1a2f0-0000-4000-8000-000000000001 /data ext4 defaults 0 2' >>etc/fstab; mkdir data",
        "rmdir data",
        "fstab-device",
    ),
    (
        "fstab with another root",
        "sed -i 's/^UUID=[^ ]* \\/ /UUID=77c1a2f0-0000-4000-8000-000000000002 \\/ /' etc/fstab",
        "",
        "fstab-device",
    ),
    (
        "swap that is gone",
        "echo 'UUID=77c1a2f0-0000-4000-8000-000000000003 none swap sw 0 0' >>etc/fstab",
        "",
        "fstab-device",
    ),
    (
        "crypttab wants a disk that is gone",
        "echo 'data_crypt UUID=77c1a2f0-0000-4000-8000-000000000004 none luks' >>etc/crypttab",
        "sed -i /data_crypt/d etc/crypttab",
        "crypttab",
    ),
    (
        "the type in fstab is not the disk's",
        "sed -i 's/ ext4 / xfs /' etc/fstab",
        "",
        "fstab-type",
    ),
    (
        "the disk was cloned",
        "root: sed -i 's/search --no-floppy --fs-uuid --set=root .*/search --no-floppy --fs-uuid --set=root 77c1a2f0-0000-4000-8000-000000000005/' boot/grub/grub.cfg; : >boot/grub/mended",
        "root: sed -i \"s/77c1a2f0-0000-4000-8000-000000000005/$(sed -n 's/^UUID=\\([^ ]*\\) \\/ .*/\\1/p' etc/fstab)/\" boot/grub/grub.cfg; rm boot/grub/mended",
        "bootloader-config-device",
    ),
];

pub(super) fn trials() -> Vec<Trial> {
    let needs = [DEBIAN, &[Need::Command("debugfs")]].concat();
    let small = [Need::Loop, Need::Fs("ext4")];
    vec![
        Trial::new("doctor::broken_disks", &needs, broken).timeout(PATIENCE),
        Trial::new("doctor::broken_esp", &needs, broken_esp).timeout(PATIENCE),
        Trial::new("doctor::no_inodes", &small, no_inodes),
    ]
}

/// Runs a script on the disk, or in its root.
fn deed(disk: &Path, fresh: &Path, script: &str) {
    let script = script
        .replace("DISK", &disk.to_string_lossy())
        .replace("FRESH", &fresh.to_string_lossy())
        .replace("OFFSET", &ROOT_OFFSET.to_string());
    match script.strip_prefix("root: ") {
        None => drop(sh(&script)),
        Some(script) => {
            let point = disk::mount(disk, &format!("offset={ROOT_OFFSET}"));
            sh(&format!("cd {}; {script}", point.display()));
            disk::unmount(&point);
        }
    }
}

/// What only touches fstab is mended by putting it back.
fn scripts(case: &Case) -> (String, String) {
    let (_, damage, mend, _) = case;
    if damage.contains("DISK") || damage.starts_with("root: ") {
        return ((*damage).to_string(), (*mend).to_string());
    }
    let rest = if mend.is_empty() { "true" } else { mend };
    (format!("{FSTAB}{damage}"), format!("{MEND_FSTAB}; {rest}"))
}

fn broken() {
    let (directory, copy) = copy();
    let fresh = debian::disk();
    let mut wrong = Vec::new();
    for case in CASES {
        let (damage, mend) = scripts(case);
        deed(&copy, &fresh, &damage);
        if let Err(why) = is_only(&report(&copy), case.3) {
            wrong.push(format!("--- {}: {why}", case.0));
        }
        deed(&copy, &fresh, &mend);
    }
    let after = super::grave(&report(&copy));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(after.is_empty(), "mended, and yet: {after:?}");
    drop(directory);
}

/// A copy of the Debian's disk, for as long as the directory lives.
pub(super) fn copy() -> (tempfile::TempDir, PathBuf) {
    let fresh = debian::disk();
    let directory = tempfile::tempdir_in(fresh.parent().unwrap()).unwrap();
    let copy = directory.path().join("disk.img");
    sh(&format!(
        "cp --sparse=always {} {}",
        fresh.display(),
        copy.display()
    ));
    (directory, copy)
}

/// The same Debian, started by UEFI. Its ESP is an ext2: this kernel may have no vfat.
pub(super) fn uefi(disk: &Path) {
    sh(&format!(
        "mke2fs -q -F -t ext2 -E offset={ESP_OFFSET} {} 64m",
        disk.display()
    ));
    let offset = format!("offset={ROOT_OFFSET}");
    let (root, esp) = (
        disk::mount(disk, &offset),
        disk::mount(disk, &format!("offset={ESP_OFFSET},sizelimit={}", 64 << 20)),
    );
    sh(&format!(
        "cd {}; uuid=$(blkid -p -O {ESP_OFFSET} -S {} -o value -s UUID {}); \
         echo \"UUID=$uuid /boot/efi ext2 defaults 0 2\" >>etc/fstab; mkdir boot/efi; \
         mv boot/grub/i386-pc boot/grub/x86_64-efi; \
         mkdir -p {esp}/EFI/debian; cp boot/vmlinuz-* {esp}/EFI/debian/grubx64.efi; \
         sed -n 's/^UUID=\\([^ ]*\\) \\/ .*/search.fs_uuid \\1 root/p' etc/fstab >{esp}/EFI/debian/grub.cfg; \
         echo 'configfile ($root)/boot/grub/grub.cfg' >>{esp}/EFI/debian/grub.cfg",
        root.display(),
        64 << 20,
        disk.display(),
        esp = esp.display()
    ));
    disk::unmount(&esp);
    disk::unmount(&root);
}

/// Name, what is done in the ESP, what undoes it, the finding.
pub(super) const ESP_CASES: &[Case] = &[
    (
        "the ESP emptied",
        "mv EFI away",
        "mv away EFI",
        "bootloader-missing",
    ),
    (
        "GRUB on the ESP emptied",
        "cp EFI/debian/grubx64.efi kept; : >EFI/debian/grubx64.efi",
        "mv kept EFI/debian/grubx64.efi",
        "bootloader-missing",
    ),
    (
        "GRUB on the ESP looks for another disk",
        "cp EFI/debian/grub.cfg kept; sed -i 's/uuid [^ ]*/uuid 77c1a2f0-0000-4000-8000-000000000006/' EFI/debian/grub.cfg",
        "mv kept EFI/debian/grub.cfg",
        "bootloader-config-device",
    ),
];

fn broken_esp() {
    let (directory, disk) = copy();
    uefi(&disk);
    let kinds = super::grave(&report(&disk));
    assert!(kinds.is_empty(), "started by UEFI, and well: {kinds:?}");
    let mut wrong = Vec::new();
    for (name, damage, mend, kind) in ESP_CASES {
        let inside = |script: &str| {
            let point = disk::mount(
                &disk,
                &format!("offset={ESP_OFFSET},sizelimit={}", 64 << 20),
            );
            sh(&format!("cd {}; {script}", point.display()));
            disk::unmount(&point);
        };
        inside(damage);
        if let Err(why) = is_only(&report(&disk), kind) {
            wrong.push(format!("--- {name}: {why}"));
        }
        inside(mend);
    }
    drop(directory);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// 64 inodes, none of them left.
fn no_inodes() {
    let image = disk::filesystem("/tmp/few", 64, "mkfs.ext4 -q -N 256");
    disk::filled(&image, |top| {
        disk::system(top, disk::DEBIAN, "few", "");
        fs::create_dir(top.join("many")).unwrap();
        let made =
            (0..1000).take_while(|n| fs::File::create(top.join(format!("many/{n}"))).is_ok());
        assert!(made.count() < 1000);
    });
    let report = report(&image);
    let kinds = super::grave(&report);
    assert_eq!(
        kinds.first().map(String::as_str),
        Some("full"),
        "{report:#}"
    );
}
