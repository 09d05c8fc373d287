//! What lies below a filesystem and is not open: LUKS, LVM, md.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ext4, only_system, scan};
use crate::disk::{DEBIAN, disk, empty, poke, sh, system, uuid};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    let lvm = [Need::Loop, Need::Fs("ext4"), Need::Command("lvm")];
    let luks = [Need::Loop, Need::Command("cryptsetup")];
    vec![
        Trial::new("scan::a_locked_volume", &luks, a_locked_volume),
        Trial::new(
            "scan::a_group_that_is_not_active",
            &lvm,
            a_group_that_is_not_active,
        ),
        Trial::new(
            "scan::a_mirror_that_nobody_assembled",
            &ext4,
            a_mirror_that_nobody_assembled,
        ),
    ]
}

fn a_locked_volume() {
    let locked = empty("/tmp/crypt", 32);
    sh(
        "printf secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 \
        --pbkdf-force-iterations 1000 /tmp/crypt -",
    );
    let fstab = "/dev/mapper/home_crypt /home ext4\n/dev/mapper/other /opt ext4\n";
    let root = ext4("/tmp/root", |top| {
        system(top, DEBIAN, "web03", fstab);
        let crypttab = format!("home_crypt UUID={} none luks\n", uuid(&locked));
        fs::write(top.join("etc/crypttab"), crypttab).unwrap();
    });
    let script = "label: gpt\nsize=32MiB, type=L\nsize=32MiB, type=L\n";
    let image = disk("/tmp/disk.img", 72, script, &[(1, &root), (2, &locked)]);
    let found = scan(&[&image]);
    assert_eq!(found["locked"][0]["volume"], "disk.img p2");
    let states: Vec<&Value> = only_system(&found)["fstab"]
        .as_array()
        .unwrap()
        .iter()
        .map(|want| &want["state"])
        .collect();
    assert_eq!(states, ["locked", "missing"]);
    let id = format!("luks-{}", &uuid(&locked)[..4]);
    newroot([OsStr::new("scan"), image.as_os_str()])
        .run()
        .code(0)
        .stdout_has(&format!("next   newroot scan --unlock {id}"))
        .stderr_has("1 system, 1 locked.");
}

fn a_group_that_is_not_active() {
    let root = ext4("/tmp/root", |top| {
        system(
            top,
            DEBIAN,
            "web03",
            "/dev/mapper/vg0-root / ext4\n/dev/vg0/far /far ext4\n",
        );
    });
    let image = empty("/tmp/pv.img", 200);
    // Metadata only: this works without device-mapper. `far` comes to lie in two pieces.
    sh("device=$(losetup --find --show /tmp/pv.img); trap 'losetup -d $device' EXIT; mkdir /tmp/lvm; export LVM_SYSTEM_DIR=/tmp/lvm
        config=\"devices { use_devicesfile=0 filter=[\\\"a|$device|\\\",\\\"r|.*|\\\"] }\"
        meta() { command=$1; shift; lvm $command --driverloaded n --config \"$config\" \"$@\"; }
        meta pvcreate $device; meta vgcreate vg0 $device
        meta lvcreate -an -Zn -Wn -L 32M -n root vg0; meta lvcreate -an -Zn -Wn -L 32M -n far vg0
        meta lvcreate -an -Zn -Wn -L 32M -n home vg0; meta lvextend -L +16M vg0/far");
    sh(&format!(
        "dd if={} of={} bs=1M seek=1 conv=notrunc,sparse status=none",
        root.display(),
        image.display()
    ));
    let found = scan(&[&image]);
    let system = only_system(&found);
    assert_eq!(system["root"]["volumes"][0], "vg0/root");
    assert_eq!(system["named_by_fstab"], true);
    assert_eq!(system["fstab"][1]["state"], "missing");
    let apart = &found["not_assembled"][0];
    assert_eq!(apart["name"], "vg0");
    let note = apart["note"].as_str().unwrap();
    assert!(note.contains("far (linear in 2 pieces)"), "{note}");
}

/// One member of a RAID 1 as md(4) writes it, version 1.2: the superblock at 4 KiB, the data from
/// 1 MiB on.
pub(crate) fn member(path: &str, number: u8, events: u64, data: &Path) -> PathBuf {
    let image = empty(path, 40);
    let mut block = vec![0_u8; 256];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(16, b"one-array-uuid-x");
    put(32, b"host:root");
    put(72, &1_u32.to_le_bytes());
    put(80, &(32_u64 << 11).to_le_bytes());
    put(92, &2_u32.to_le_bytes());
    put(128, &2048_u64.to_le_bytes());
    put(136, &(32_u64 << 11).to_le_bytes());
    put(144, &8_u64.to_le_bytes());
    put(168, &[number; 16]);
    put(200, &events.to_le_bytes());
    put(220, &0_u32.to_le_bytes());
    let words = block.chunks_exact(4);
    let sum: u64 = words
        .map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap())))
        .sum();
    let sum = u32::try_from((sum & 0xffff_ffff) + (sum >> 32)).unwrap();
    block[216..220].copy_from_slice(&sum.to_le_bytes());
    poke(&image, 4096, &block);
    sh(&format!(
        "dd if={} of={path} bs=1M seek=1 conv=notrunc,sparse status=none",
        data.display()
    ));
    image
}

fn a_mirror_that_nobody_assembled() {
    let stale = ext4("/tmp/stale", |top| system(top, DEBIAN, "stale", ""));
    let newest = ext4("/tmp/newest", |top| system(top, DEBIAN, "newest", ""));
    let first = member("/tmp/first.img", 1, 7, &stale);
    let second = member("/tmp/second.img", 2, 8, &newest);
    let found = scan(&[&first, &second]);
    let system = only_system(&found);
    assert_eq!(system["hostname"], "newest");
    assert_eq!(system["root"]["volumes"][0], "md/root");
    let found = scan(&[&first]);
    assert_eq!(only_system(&found)["hostname"], "stale");
    let note = found["not_assembled"][0]["note"].as_str().unwrap();
    assert!(note.contains("1 of 2 members here"), "{note}");
}
