//! Roots that are not the top of their filesystem: subvolumes, several devices, deployments.

use std::fs;
use std::path::{Path, PathBuf};

use super::{BTRFS, EXT4, copy, ext4, has, mounted, nothing_left, run, same};
use crate::disk::{DEBIAN, filesystem, filled, sh, system, uuid};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::btrfs_subvolumes", &BTRFS, btrfs_subvolumes),
        Trial::new(
            "mount::btrfs_default_subvolume",
            &BTRFS,
            btrfs_default_subvolume,
        ),
        Trial::new("mount::several_devices", &BTRFS, several_devices),
        Trial::new("mount::a_deployment", &EXT4, a_deployment),
    ]
}

fn subvolumed(fstab: &str, root: &str, others: &[&str]) -> PathBuf {
    let image = filesystem("/tmp/b.img", 128, "mkfs.btrfs -q");
    let fstab = fstab.replace("THIS", &uuid(&image));
    filled(&image, |top| {
        let at = top.display();
        for subvolume in others.iter().chain([&root]) {
            let parent = Path::new(subvolume).parent().unwrap().display().to_string();
            sh(&format!(
                "mkdir -p {at}/{parent}; btrfs subvolume create {at}/{subvolume}"
            ));
            fs::write(
                top.join(subvolume)
                    .join(format!("is-{}", subvolume.replace('/', "-"))),
                "",
            )
            .unwrap();
        }
        system(
            &top.join(root),
            "ID=arch\nNAME=\"Arch Linux\"\n",
            "arch",
            &fstab,
        );
        fs::create_dir_all(top.join(root).join("home")).unwrap();
    });
    image
}

fn btrfs_subvolumes() {
    let fstab =
        "UUID=THIS / btrfs subvol=/@,compress=zstd 0 0\nUUID=THIS /home btrfs subvol=@home 0 0\n";
    let image = subvolumed(fstab, "@", &["@home"]);
    let before = copy(&image);
    run(&["mount", "/tmp/b.img"]).code(0);
    has(
        &mounted("/mnt"),
        &["subvol=/@\n", "/mnt/home btrfs ro", "subvol=/@home"],
    );
    fs::metadata("/mnt/is-@").unwrap();
    fs::metadata("/mnt/home/is-@home").unwrap();
    run(&["umount", "arch"]).code(0);
    nothing_left(&image);
    same(&image, &before);
    run(&["mount", "--read-write", "/tmp/b.img"]).code(0);
    has(&mounted("/mnt"), &["compress=zstd", "/mnt/home btrfs rw"]);
    fs::write("/mnt/home/new", "").unwrap();
    run(&["umount", "arch"]).code(0);
    nothing_left(&image);
}

/// openSUSE: fstab names no subvolume for `/`; the default one is a snapshot.
fn btrfs_default_subvolume() {
    let fstab = "UUID=THIS / btrfs defaults 0 0\nUUID=THIS /var/lib btrfs subvol=/@/lib 0 0\n";
    let snapshot = "@/.snapshots/1/snapshot";
    let image = subvolumed(fstab, snapshot, &["@", "@/lib"]);
    filled(&image, |top| {
        sh(&format!(
            "btrfs subvolume set-default {}/{snapshot}",
            top.display()
        ));
    });
    run(&["mount", "/tmp/b.img"]).code(0);
    has(
        &mounted("/mnt"),
        &["subvol=/@/.snapshots/1/snapshot", "subvol=/@/lib"],
    );
    fs::metadata("/mnt/is-@-.snapshots-1-snapshot").unwrap();
    run(&["umount", "arch"]).code(0);
    nothing_left(&image);
}

fn several_devices() {
    let (one, two) = ("/tmp/one.img", "/tmp/two.img");
    sh(&format!(
        "truncate -s 128M {one} {two}; mkfs.btrfs -q -d raid1 -m raid1 {one} {two}"
    ));
    let first = sh(&format!("losetup --find --show {one}"));
    let second = sh(&format!("losetup --find --show {two}"));
    let (first, second) = (first.trim(), second.trim());
    sh(&format!("mount -o device={second} {first} /mnt"));
    system(Path::new("/mnt"), DEBIAN, "pair", "");
    sh("umount /mnt");
    run(&["mount", "pair"]).code(0).stderr_has("READ-ONLY");
    has(&mounted("/mnt"), &["/mnt btrfs ro"]);
    run(&["umount", "pair"]).code(0);
    sh(&format!("losetup -d {first}"));
    // One of them is missing: it can be looked at.
    run(&["mount", "pair"])
        .code(0)
        .stderr_has("a device of this btrfs is missing");
    run(&["umount", "pair"]).code(0);
    sh(&format!("losetup -d {second}"));
    nothing_left(Path::new(one));
}

fn a_deployment() {
    let base = "ostree/deploy/fedora";
    let image = ext4("/tmp/atomic.img", "", |top| {
        let root = top.join(base).join("deploy/abc.0");
        fs::create_dir_all(&root).unwrap();
        system(&root, "ID=fedora\nNAME=Fedora\n", "atomic", "");
        fs::create_dir_all(root.join("sysroot")).unwrap();
        fs::create_dir_all(top.join(base).join("var/lib/x")).unwrap();
        fs::create_dir_all(top.join("boot")).unwrap();
    });
    run(&["mount", "/tmp/atomic.img"]).code(0);
    assert_eq!(fs::read_to_string("/mnt/etc/hostname").unwrap(), "atomic\n");
    fs::metadata("/mnt/var/lib/x").unwrap();
    fs::metadata("/mnt/sysroot/ostree").unwrap();
    run(&["umount", "atomic"])
        .code(0)
        .stderr_has("4 mounts gone");
    nothing_left(&image);
}
