//! Disks with partition tables, sound and damaged, after a power cut.

use std::ffi::OsStr;
use std::fs;

use super::{ext4, only_system, scan, scan_device};
use crate::disk::{
    DEBIAN, cut_off, disk, filesystem, filled, kernel, poke, sh, system, unfinished, uuid,
};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    let xfs = [Need::Loop, Need::Fs("xfs"), Need::Command("mkfs.xfs")];
    vec![
        Trial::new(
            "scan::a_debian_after_a_power_cut",
            &ext4,
            a_debian_after_a_power_cut,
        ),
        Trial::new(
            "scan::an_xfs_after_a_power_cut",
            &xfs,
            an_xfs_after_a_power_cut,
        ),
        Trial::new("scan::logical_partitions", &ext4, logical_partitions),
        Trial::new("scan::a_damaged_gpt", &ext4, a_damaged_gpt),
    ]
}

fn a_debian_after_a_power_cut() {
    let swap = filesystem("/tmp/swap", 8, "mkswap");
    poke(&swap, 0xff6, b"S1SUSPEND\0");
    let esp = filesystem("/tmp/esp", 34, "mkfs.vfat -n ESP");
    let root = filesystem("/tmp/root", 48, "mkfs.ext4 -q");
    let fstab = format!(
        "UUID={} / ext4 errors=remount-ro 0 1\nUUID={} /boot/efi vfat umask=0077 0 1\n\
         UUID={} none swap sw 0 0\nUUID=77c1a2f0-0000-0000-0000-000000000000 /data ext4 defaults 0 2\n\
         LABEL=gone /opt ext4 nofail 0 2\ntmpfs /tmp tmpfs defaults 0 0\n",
        uuid(&root),
        uuid(&esp),
        // blkid names no UUID of a swap area in use; mkswap's is in its header.
        sh(
            "dd if=/tmp/swap bs=1 skip=1036 count=16 status=none | od -An -tx1 | tr -d ' \n' | \
            sed 's/^\\(.\\{8\\}\\)\\(.\\{4\\}\\)\\(.\\{4\\}\\)\\(.\\{4\\}\\)/\\1-\\2-\\3-\\4-/'"
        ),
    );
    filled(&root, |top| {
        system(top, DEBIAN, "web03", &fstab);
        kernel(top, "6.1.0-38-amd64", true);
        kernel(top, "6.1.0-40-amd64", false);
        fs::create_dir_all(top.join("boot/grub/x86_64-efi")).unwrap();
        fs::write(top.join("boot/grub/grub.cfg"), "").unwrap();
        fs::create_dir_all(top.join("boot/efi")).unwrap();
        let mut record = vec![0; 384];
        record[0] = 2;
        record[44..50].copy_from_slice(b"reboot");
        record[340..344].copy_from_slice(&1_795_471_800_u32.to_le_bytes());
        fs::write(top.join("var/log/wtmp"), record).unwrap();
    });
    unfinished(&root);
    assert_eq!(only_system(&scan_device(&root))["hostname"], "web03");
    let image = disk(
        "/tmp/disk.img",
        128,
        "label: gpt\nsize=34MiB, type=U\nsize=48MiB, type=L\nsize=8MiB, type=S\n",
        &[(1, &esp), (2, &root), (3, &swap)],
    );

    let found = scan(&[&image]);
    let system = only_system(&found);
    let id = format!("debian-{}", &uuid(&root)[..4]);
    assert_eq!(system["id"], id.as_str());
    assert_eq!(system["hostname"], "web03");
    assert_eq!(system["arch"], "amd64");
    assert_eq!(system["root"]["volumes"][0], "disk.img p2");
    assert_eq!(system["named_by_fstab"], true);
    assert_eq!(system["hibernated_in"], "disk.img p3");
    assert_eq!(system["boot"]["esp"], "disk.img p1");
    assert_eq!(system["boot"]["firmware"][0], "uefi");
    assert_eq!(system["last_boot"]["time"], 1_795_471_800);

    let output = newroot([OsStr::new("scan"), image.as_os_str()]).run();
    output.code(0);
    for line in [
        format!("{id}  Debian 12 amd64  web03  disk.img p2 ext4  2026-11-23 22:10"),
        "  boot   UEFI, GRUB, ESP disk.img p1; kernels 6.1.0-38, 6.1.0-40".to_string(),
        "  WARN   kernel 6.1.0-40 has no initramfs".to_string(),
        "  WARN   fstab: 2 of 5 devices missing (/data, /opt)".to_string(),
        "  NOTE   hibernated (in disk.img p3): read-only unless --discard-hibernation".to_string(),
    ] {
        output.stdout_has(&line);
    }
    output.stderr_has("1 system. Nothing was written.");
}

fn an_xfs_after_a_power_cut() {
    let image = filesystem("/tmp/root.img", 320, "mkfs.xfs -q");
    filled(&image, |top| {
        system(
            top,
            "ID=fedora\nNAME=\"Fedora Linux\"\nVERSION_ID=43\n",
            "lab",
            "",
        );
    });
    cut_off(&image, |top| {
        fs::write(top.join("var/log/new"), vec![7; 4096]).unwrap();
        sh(&format!("sync -f {}", top.display()));
        None
    });
    let log = sh("xfs_logprint -t /tmp/root.img");
    assert!(log.contains("<DIRTY>"), "{log}");
    assert_eq!(only_system(&scan_device(&image))["hostname"], "lab");
    let found = scan(&[&image]);
    let system = only_system(&found);
    assert_eq!(system["hostname"], "lab");
    assert_eq!(system["root"]["volumes"][0], "root.img");
    assert_eq!(system["root"]["type"], "xfs");
}

fn logical_partitions() {
    let root = ext4("/tmp/root", |top| {
        system(top, DEBIAN, "old", "/dev/sda5 / ext4\n");
    });
    let other = ext4("/tmp/other", |top| {
        system(top, "ID=arch\nNAME=\"Arch Linux\"\n", "arch", "");
    });
    let image = disk(
        "/tmp/mbr.img",
        160,
        "label: dos\nsize=8MiB, type=83\nsize=120MiB, type=5\n/tmp/mbr.img5 : size=32MiB, type=83\n/tmp/mbr.img6 : size=32MiB, type=83\n",
        &[(5, &root), (6, &other)],
    );
    let found = scan(&[&image]);
    let systems = found["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{found:#}");
    newroot(["scan", "/tmp/mbr.img", "old"])
        .run()
        .code(0)
        .stdout_has("mbr.img p5 ext4")
        .stderr_has("1 system.");
    newroot(["scan", "/tmp/mbr.img", "new"])
        .run()
        .code(125)
        .stderr_has("no system fits \"new\": these were found")
        .stderr_has("  arch-")
        .stderr_has("Arch Linux  arch  mbr.img p6 ext4");
    assert_eq!(systems[0]["root"]["volumes"][0], "mbr.img p5");
    assert_eq!(systems[0]["fstab"][0]["state"], "unreliable");
    assert_eq!(systems[1]["os"]["id"], "arch");

    // The chain of extended partitions bites its tail: it ends, and what was found stays.
    let second =
        sh("sfdisk --dump /tmp/mbr.img | sed -n 's/.*img6 : start= *\\([0-9]*\\),.*/\\1/p'");
    let extended =
        sh("sfdisk --dump /tmp/mbr.img | sed -n 's/.*img2 : start= *\\([0-9]*\\),.*/\\1/p'");
    let record = second.trim().parse::<u64>().unwrap() - 2048;
    let link = record - extended.trim().parse::<u64>().unwrap();
    let mut entry = [0; 16];
    entry[4] = 5;
    entry[8..12].copy_from_slice(&u32::try_from(link).unwrap().to_le_bytes());
    entry[12] = 1;
    poke(&image, record * 512 + 462, &entry);
    let found = scan(&[&image]);
    assert_eq!(found["systems"].as_array().unwrap().len(), 2);
    assert!(
        found["notes"][0].as_str().unwrap().contains("no end"),
        "{found:#}"
    );
}

fn a_damaged_gpt() {
    let root = ext4("/tmp/root", |top| system(top, DEBIAN, "web03", ""));
    let script = "label: gpt\nsize=32MiB, type=L\n";
    let image = disk("/tmp/gpt.img", 40, script, &[(1, &root)]);
    poke(&image, 512, &[0; 512]);
    let found = scan(&[&image]);
    assert_eq!(only_system(&found)["root"]["volumes"][0], "gpt.img p1");
    assert!(
        found["notes"][0].as_str().unwrap().contains("backup"),
        "{found:#}"
    );
}
