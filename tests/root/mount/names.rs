//! Every way to name a device in fstab, and every kind of disk and image.

use std::fs;
use std::path::Path;

use super::{EXT4, copy, ext4, has, marked, mounted, nothing_left, run, same, web03};
use crate::disk::{DEBIAN, disk, sh, system, uuid};
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::every_kind_of_name", &EXT4, every_kind_of_name),
        Trial::new(
            "mount::the_dry_run_does_the_same",
            &EXT4,
            the_dry_run_does_the_same,
        ),
        Trial::new(
            "mount::an_mbr_disk_as_a_device",
            &EXT4,
            an_mbr_disk_as_a_device,
        ),
    ]
}

fn every_kind_of_name() {
    let image = web03("/tmp/web03.img");
    let before = copy(&image);
    let output = run(&["mount", "/tmp/web03.img"]);
    output
        .code(0)
        .stdout_is("")
        .stderr_has("web03, Debian 12: READ-ONLY at /mnt")
        .stderr_has("/  web03.img p1 ext4")
        .stderr_has("/gone is MISSING: UUID=77c1a2f0")
        .stderr_has("/backup is left out: noauto")
        .stderr_has("/nfs is left out: needs the network")
        .stderr_has("newroot umount /mnt");
    let table = mounted("/mnt");
    has(
        &table,
        &[
            "/mnt ext4 ro",
            "/mnt/boot ext4 ro",
            "/mnt/srv ext4 ro,noexec",
        ],
    );
    has(
        &table,
        &[
            "/mnt/var ext4 ro,nosuid",
            "/mnt/var/log ext4",
            "/mnt/var/data ext4",
        ],
    );
    assert_eq!(table.lines().count(), 7, "{table}");
    assert!(
        !table.lines().any(|line| !line.contains("norecovery")),
        "{table}"
    );
    for mark in [
        "boot/is-boot",
        "srv/is-srv",
        "var/is-var",
        "var/log/is-log",
        "var/data/is-data",
        "opt/share/is-share",
    ] {
        assert!(fs::metadata(Path::new("/mnt").join(mark)).is_ok(), "{mark}");
    }
    fs::write("/mnt/opt/share/x", "").unwrap_err();
    run(&["ps"])
        .code(0)
        .stdout_has("stands")
        .stdout_has("debian-");
    run(&["cleanup"])
        .code(0)
        .stderr_has("mounted on purpose")
        .stderr_has("newroot umount /mnt");
    run(&["mount", "/tmp/web03.img", "/mnt/new"])
        .code(125)
        .stderr_has("shows it already")
        .stderr_has("newroot umount /tmp/web03.img");
    run(&["umount", "nobody"])
        .code(125)
        .stderr_has("newroot has not mounted it");
    run(&["umount", "web03"])
        .code(0)
        .stderr_has("7 mounts gone")
        .stderr_has("(checked)");
    nothing_left(&image);
    same(&image, &before);

    run(&["mount", "--noauto", "/tmp/web03.img", "/mnt/a/b"])
        .code(125)
        .stderr_has("No such file");
    run(&["mount", "--noauto", "/tmp/web03.img", "/mnt/new"]).code(0);
    has(&mounted("/mnt"), &["/mnt/new/backup ext4"]);
    run(&["umount", "./web03.img"]).code(125);
    newroot(["umount", "./web03.img"]).cwd("/tmp").run().code(0);
    fs::metadata("/mnt/new").unwrap_err();
    nothing_left(&image);
    same(&image, &before);
}

/// What `-n` prints makes the same mounts when it is pasted.
fn the_dry_run_does_the_same() {
    let image = web03("/tmp/dry.img");
    let before = copy(&image);
    let script = run(&["-n", "mount", "/tmp/dry.img", "/mnt/new"])
        .code(0)
        .stdout
        .clone();
    nothing_left(&image);
    has(
        &script,
        &["mkdir /mnt/new", "-o ro,noload,loop,offset=1048576"],
    );
    sh(&script);
    let by_hand = mounted("/mnt/new");
    sh("umount -R /mnt/new; rmdir /mnt/new");
    run(&["mount", "/tmp/dry.img", "/mnt/new"]).code(0);
    let by_newroot = mounted("/mnt/new");
    let script = run(&["-n", "umount", "/mnt/new"]).code(0).stdout.clone();
    has(
        &script,
        &[
            "umount /mnt/new/opt/share\n",
            "umount /mnt/new\n",
            "rmdir /mnt/new",
        ],
    );
    run(&["umount", "/mnt/new"]).code(0);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
        lines.sort();
        lines.join("\n")
    };
    assert_eq!(sorted(&by_hand), sorted(&by_newroot));
    nothing_left(&image);
    same(&image, &before);
}

/// A disk whose partitions this kernel does not show.
fn an_mbr_disk_as_a_device() {
    let home = marked("/tmp/home", "", "is-home");
    let root = ext4("/tmp/root", "", |top| {
        let fstab = format!(
            "UUID={} /home ext4 defaults 0 2\n/dev/sda9 /x ext4\n",
            uuid(&home)
        );
        system(top, DEBIAN, "old", &fstab);
        fs::create_dir(top.join("home")).unwrap();
    });
    let table = "label: dos\nsize=24MiB, type=83\nsize=60MiB, type=5\n/tmp/mbr.img5 : size=20MiB, type=83\n";
    let image = disk("/tmp/mbr.img", 100, table, &[(1, &root), (5, &home)]);
    let before = copy(&image);
    let device = sh("losetup --find --show /tmp/mbr.img");
    let device = device.trim();
    run(&["mount", device])
        .code(0)
        .stderr_has("old, Debian 12: READ-ONLY at /mnt");
    has(&mounted("/mnt"), &["/mnt ext4 ro", "/mnt/home ext4 ro"]);
    run(&["umount", "old"]).code(0);
    assert_eq!(mounted("/mnt"), "");
    sh(&format!("losetup -d {device}"));
    nothing_left(&image);
    same(&image, &before);
}
