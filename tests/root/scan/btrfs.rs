//! Subvolumes, snapshots, filesystems on several devices.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::{only_system, scan, scan_device, wtmp};
use crate::disk::{DEBIAN, cut_off, empty, filesystem, filled, sh, system, uuid};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let btrfs = [Need::Loop, Need::Fs("btrfs"), Need::Command("mkfs.btrfs")];
    vec![
        Trial::new("scan::subvolumes", &btrfs, subvolumes),
        Trial::new("scan::snapshots_and_default", &btrfs, snapshots_and_default),
        Trial::new("scan::several_devices", &btrfs, several_devices),
    ]
}

fn subvolumes() {
    let image = filesystem("/tmp/arch.img", 128, "mkfs.btrfs -q");
    let fstab = format!(
        "UUID={0} / btrfs subvol=/@ 0 0\nUUID={0} /home btrfs subvol=@home 0 0\n",
        uuid(&image)
    );
    filled(&image, |top| {
        let at = top.display();
        sh(&format!(
            "btrfs subvolume create {at}/@; btrfs subvolume create {at}/@home"
        ));
        system(
            &top.join("@"),
            "ID=arch\nNAME=\"Arch Linux\"\n",
            "arch",
            &fstab,
        );
        sh(&format!(
            "mkdir {at}/@snapshots {at}/@/var/lib/machines; \
             btrfs subvolume snapshot -r {at}/@ {at}/@snapshots/1; \
             btrfs subvolume snapshot {at}/@ {at}/@snapshots/2; \
             btrfs subvolume snapshot {at}/@ {at}/@/var/lib/machines/guest"
        ));
    });
    cut_off(&image, |top| {
        let mut file = fs::File::create(top.join("@/var/log/new")).unwrap();
        std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
        // fsync(2) writes the log tree; sync(2) would commit and empty it.
        file.sync_all().unwrap();
        None
    });
    let log = sh("btrfs inspect-internal dump-super /tmp/arch.img | sed -n 's/^log_root\\t*//p'");
    assert_ne!(log.trim(), "0", "there is no log to replay");
    assert_eq!(only_system(&scan_device(&image))["hostname"], "arch");
    let found = scan(&[&image]);
    let system = only_system(&found);
    assert_eq!(system["root"]["subvolume"]["path"], "/@");
    assert_eq!(system["named_by_fstab"], true);
    assert_eq!(system["folded"], 2);
    assert_eq!(system["fstab"][1]["state"], "found");
}

/// openSUSE: the default subvolume is itself a snapshot, and fstab names none for `/`.
fn snapshots_and_default() {
    let image = filesystem("/tmp/suse.img", 128, "mkfs.btrfs -q");
    let fstab = format!(
        "UUID={0} / btrfs defaults 0 0\nUUID={0} /var btrfs subvol=/@/var 0 0\n",
        uuid(&image)
    );
    filled(&image, |top| {
        let at = top.display();
        sh(&format!(
            "btrfs subvolume create {at}/@; btrfs subvolume create {at}/@/.snapshots; \
             btrfs subvolume create {at}/@/var; mkdir -p {at}/@/.snapshots/1 {at}/@/.snapshots/2; \
             btrfs subvolume create {at}/@/.snapshots/1/snapshot; mkdir -p {at}/@/var/log"
        ));
        let root = top.join("@/.snapshots/1/snapshot");
        let release =
            "ID=\"opensuse-leap\"\nNAME=\"openSUSE Leap\"\nVERSION_ID=\"15.6\"\nID_LIKE=\"suse\"\n";
        system(&root, release, "suse", &fstab);
        sh(&format!(
            "btrfs subvolume snapshot -r {at}/@/.snapshots/1/snapshot {at}/@/.snapshots/2/snapshot; \
             btrfs subvolume set-default {at}/@/.snapshots/1/snapshot"
        ));
        fs::write(top.join("@/var/log/wtmp"), wtmp(1000)).unwrap();
    });
    let found = scan(&[&image]);
    let system = only_system(&found);
    assert_eq!(
        system["root"]["subvolume"]["path"],
        "/@/.snapshots/1/snapshot"
    );
    assert_eq!(system["root"]["subvolume"]["default"], true);
    assert_eq!(
        (&system["named_by_fstab"], &system["folded"]),
        (&true.into(), &1.into())
    );
    assert_eq!(
        system["last_boot"]["time"], 1000,
        "read from the subvolume of /var"
    );
    newroot([OsStr::new("scan"), image.as_os_str()])
        .run()
        .code(0)
        .stdout_has("suse.img btrfs subvol=@/.snapshots/1/snapshot")
        .stdout_has("1 snapshot folded");
}

fn several_devices() {
    let (one, two) = (empty("/tmp/one.img", 128), empty("/tmp/two.img", 128));
    sh("mkfs.btrfs -q -d raid1 -m raid1 /tmp/one.img /tmp/two.img");
    let first = sh("losetup --find --show /tmp/one.img");
    let second = sh("losetup --find --show /tmp/two.img");
    let (first, second) = (first.trim(), second.trim());
    sh(&format!("mount -o device={second} {first} /mnt"));
    system(Path::new("/mnt"), DEBIAN, "pair", "");
    sh(&format!(
        "umount /mnt; losetup -d {first}; losetup -d {second}"
    ));
    let found = scan(&[&one, &two]);
    let system = only_system(&found);
    let both = system["root"]["volumes"].as_array().unwrap();
    assert_eq!(both.len(), 2, "{system:#}");

    // One of them is missing: a read-only look is still possible.
    let found = scan(&[&two]);
    assert_eq!(only_system(&found)["hostname"], "pair");

    // A copy of one has the same numbers: it is named and left alone.
    sh("cp --sparse=always /tmp/one.img /tmp/clone.img");
    let found = scan(&[&one, &two, Path::new("/tmp/clone.img")]);
    assert_eq!(only_system(&found)["hostname"], "pair");
    assert!(
        found["notes"][0].as_str().unwrap().contains("copy"),
        "{found:#}"
    );
}
