//! What small disks of their own show: arrays and volume groups that lack members, a /boot that is
//! full, a system that sleeps, a file that the disk keeps back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report;
use crate::disk::{self, sh};
use crate::need::Need;
use crate::scan::layers::member;
use crate::trial::Trial;

/// What is found here and nowhere else.
pub(super) const KINDS: &[&str] = &["volumes-incomplete", "hibernated", "unreadable"];

pub(super) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4")];
    let lvm = [&ext4[..], &[Need::Command("lvm")]].concat();
    let blocks = [&ext4[..], &[Need::Command("debugfs")]].concat();
    let swap = [
        &ext4[..],
        &[Need::Command("mkswap"), Need::Command("sfdisk")],
    ]
    .concat();
    vec![
        Trial::new("doctor::a_mirror_without_its_half", &ext4, mirror),
        Trial::new("doctor::a_group_without_a_disk", &lvm, group),
        Trial::new("doctor::a_system_that_sleeps", &swap, asleep),
        Trial::new("doctor::a_boot_that_is_full", &swap, full_boot),
        Trial::new("doctor::a_program_that_cannot_be_read", &blocks, unreadable),
    ]
}

fn ext4(path: &str, host: &str, fstab: &str) -> PathBuf {
    let image = disk::filesystem(path, 32, "mkfs.ext4 -q");
    disk::filled(&image, |top| {
        disk::system(top, disk::DEBIAN, host, fstab);
        fs::create_dir(top.join("far")).unwrap();
    });
    image
}

/// The findings of this kind.
fn of_kind(report: &Value, kind: &str) -> Vec<Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|it| it["kind"] == kind).cloned().collect()
}

fn mirror() {
    let system = ext4("/tmp/system", "half", "/dev/md/root / ext4 defaults 0 1\n");
    let half = member("/tmp/first.img", 1, 7, &system);
    let found = of_kind(&report(&half), "volumes-incomplete");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["severity"], "warning");
    let text = found[0].to_string();
    for word in ["md/root", "1 of 2 members", "first.img", "newroot scan"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

fn group() {
    let fstab = "/dev/mapper/vg0-root / ext4\n/dev/vg0/far /far ext4 defaults 0 2\n";
    let root = ext4("/tmp/root", "lost", fstab);
    let (first, second) = (
        disk::empty("/tmp/pv1.img", 100),
        disk::empty("/tmp/pv2.img", 100),
    );
    // Metadata only: this works without device-mapper.
    sh("one=$(losetup --find --show /tmp/pv1.img); trap 'losetup -d $one' EXIT
        two=$(losetup --find --show /tmp/pv2.img); trap 'losetup -d $one $two' EXIT
        mkdir /tmp/lvm; export LVM_SYSTEM_DIR=/tmp/lvm
        config=\"devices { use_devicesfile=0 filter=[\\\"a|$one|\\\",\\\"a|$two|\\\",\\\"r|.*|\\\"] }\"
        meta() { command=$1; shift; lvm $command --driverloaded n --config \"$config\" \"$@\"; }
        meta pvcreate $one $two; meta vgcreate vg0 $one $two
        meta lvcreate -an -Zn -Wn -L 32M -n root vg0 $one; meta lvcreate -an -Zn -Wn -L 32M -n far vg0 $two");
    sh(&format!(
        "dd if={} of={} bs=1M seek=1 conv=notrunc,sparse status=none",
        root.display(),
        first.display()
    ));
    let report = report(&first);
    let found = of_kind(&report, "volumes-incomplete");
    assert_eq!(found.len(), 1, "{report:#}");
    assert_eq!(found[0]["severity"], "error");
    let text = found[0].to_string();
    for word in ["vg0", "1 of 2 members", "pv1.img", "newroot scan"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // The missing disk explains what fstab misses.
    assert!(of_kind(&report, "fstab-device").is_empty(), "{report:#}");
    drop(second);
}

fn asleep() {
    let swap = disk::empty("/tmp/swap", 8);
    sh("mkswap -q /tmp/swap 2>&1");
    let fstab = format!("UUID={} none swap sw 0 0\n", disk::uuid(&swap));
    let root = ext4("/tmp/root", "sleeper", &fstab);
    let on_disk = |swap: &Path| {
        let content = [(1, root.as_path()), (2, swap)];
        let table = "label: gpt\nsize=32M\nsize=8M,type=swap\n";
        let image = disk::disk("/tmp/disk", 50, table, &content);
        let report = report(&image);
        fs::remove_file(image).unwrap();
        of_kind(&report, "hibernated").len()
    };
    assert_eq!(on_disk(&swap), 0);
    disk::poke(&swap, 0xff6, b"S1SUSPEND\0");
    assert_eq!(on_disk(&swap), 1);
}

fn full_boot() {
    let boot = disk::filesystem("/tmp/boot", 16, "mkfs.ext4 -q");
    let fstab = format!("UUID={} /boot ext4 defaults 0 2\n", disk::uuid(&boot));
    let root = ext4("/tmp/root", "full", &fstab);
    let on_disk = |boot: &Path| {
        let content = [(1, root.as_path()), (2, boot)];
        let image = disk::disk(
            "/tmp/disk",
            60,
            "label: gpt\nsize=32M\nsize=16M\n",
            &content,
        );
        let report = report(&image);
        fs::remove_file(image).unwrap();
        of_kind(&report, "full")
    };
    // 16 MiB are too little for another kernel from the beginning.
    let found = on_disk(&boot);
    assert_eq!(found[0]["severity"], "note", "{found:#?}");
    disk::filled(&boot, |top| {
        let top = top.display();
        sh(&format!(
            "fallocate -l $(df -B1 --output=avail {top} | tail -1) {top}/full"
        ));
    });
    let found = on_disk(&boot);
    assert_eq!(found[0]["severity"], "warning", "{found:#?}");
    let text = found[0].to_string();
    assert!(
        text.contains("/boot is full") && text.contains("autoremove"),
        "{text}"
    );
}

fn unreadable() {
    let image = ext4("/tmp/torn", "torn", "");
    disk::filled(&image, |top| {
        fs::copy("/bin/true", top.join("usr/bin/torn")).unwrap();
    });
    assert!(of_kind(&report(&image), "unreadable").is_empty());
    // Without the magic number of its extents the kernel refuses the file.
    sh(&format!(
        "debugfs -w -R 'sif usr/bin/torn block[0] 0' {} 2>/dev/null",
        image.display()
    ));
    // As a device that takes writes: the kernel would count the damage in the superblock, of a
    // read-only mount as well.
    let before = fs::read(&image).unwrap();
    let device = sh(&format!("losetup --find --show {}", image.display()));
    let report = report(Path::new(device.trim()));
    sh(&format!("losetup -d {device}"));
    assert!(fs::read(&image).unwrap() == before, "the look has written");
    let found = of_kind(&report, "unreadable");
    assert_eq!(found.len(), 1, "{report:#}");
    assert_eq!(found[0]["severity"], "error");
    let text = found[0].to_string();
    for word in ["/usr/bin/torn", "EUCLEAN", "e2fsck -f -p $DEVICE"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}
