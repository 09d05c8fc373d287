//! Filesystems after a power cut: what is only looked at stays bit for bit the same.

use std::fs;
use std::path::Path;

use super::{EXT4, XFS, copy, has, nothing_left, run, same};
use crate::disk::{DEBIAN, cut_off, filesystem, filled, sh, system, unfinished};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new(
            "mount::ext4_after_a_power_cut",
            &EXT4,
            ext4_after_a_power_cut,
        ),
        Trial::new("mount::xfs_after_a_power_cut", &XFS, xfs_after_a_power_cut),
    ]
}

fn ext4_after_a_power_cut() {
    let image = filesystem("/tmp/root.img", 32, "mkfs.ext4 -q");
    filled(&image, |top| system(top, DEBIAN, "web03", ""));
    unfinished(&image);
    only_looked_at(&image);
    run(&["mount", "--read-write", "/tmp/root.img"])
        .code(0)
        .stderr_has("read-write at /mnt");
    assert_eq!(fs::read("/mnt/var/log/new").unwrap().len(), 4096);
    run(&["umount", "/mnt"]).code(0);
    assert!(!sh("dumpe2fs -h /tmp/root.img 2>/dev/null").contains("needs_recovery"));
    nothing_left(&image);
}

fn xfs_after_a_power_cut() {
    let image = filesystem("/tmp/root.img", 320, "mkfs.xfs -q");
    filled(&image, |top| system(top, DEBIAN, "web03", ""));
    cut_off(&image, |top| {
        fs::write(top.join("var/log/new"), vec![7; 4096]).unwrap();
        sh(&format!("sync -f {}", top.display()));
        None
    });
    has(&sh("xfs_logprint -t /tmp/root.img"), &["<DIRTY>"]);
    only_looked_at(&image);
}

/// On a device that could be written to, mounted and unmounted: not a bit changes.
fn only_looked_at(image: &Path) {
    let before = copy(image);
    let device = sh(&format!("losetup --find --show {}", image.display()));
    let device = device.trim();
    assert_eq!(sh(&format!("blockdev --getro {device}")), "0\n");
    run(&["mount", device])
        .code(0)
        .stderr_has("READ-ONLY at /mnt");
    assert_eq!(fs::read_to_string("/mnt/etc/hostname").unwrap(), "web03\n");
    run(&["umount", device]).code(0);
    sh(&format!(
        "blockdev --flushbufs {device}; losetup -d {device}"
    ));
    nothing_left(image);
    same(image, &before);
}
