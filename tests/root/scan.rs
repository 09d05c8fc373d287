//! `newroot scan` on images of disks: what it finds, and that every bit stays as it was.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::disk::{
    DEBIAN, before, cut_off, disk, empty, filesystem, filled, kernel, mount, poke, sh, system,
    unfinished, unmount, uuid,
};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    let xfs = [Need::Loop, Need::Fs("xfs"), Need::Command("mkfs.xfs")];
    let btrfs = [Need::Loop, Need::Fs("btrfs"), Need::Command("mkfs.btrfs")];
    let lvm = [Need::Loop, Need::Fs("ext4"), Need::Command("lvm")];
    let luks = [Need::Loop, Need::Command("cryptsetup")];
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
        Trial::new("scan::subvolumes", &btrfs, subvolumes),
        Trial::new("scan::snapshots_and_default", &btrfs, snapshots_and_default),
        Trial::new("scan::several_devices", &btrfs, several_devices),
        Trial::new("scan::usr_and_boot_apart", &ext4, usr_and_boot_apart),
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
        Trial::new("scan::deployments_and_nixos", &ext4, deployments_and_nixos),
        Trial::new("scan::what_somebody_holds", &ext4, what_somebody_holds),
        Trial::new("scan::a_hostile_system", &ext4, a_hostile_system),
        Trial::new("scan::no_system_at_all", &ext4, no_system_at_all),
    ]
}

/// Scans these; checks that no bit of them changes.
fn scan(images: &[&Path]) -> Value {
    let copies: Vec<PathBuf> = images.iter().map(|image| before(image)).collect();
    let mut arguments = vec![OsStr::new("scan"), OsStr::new("--json")];
    arguments.extend(images.iter().map(|image| image.as_os_str()));
    let output = newroot(&arguments).run();
    output.code(0);
    output.stderr_is("");
    for (image, copy) in images.iter().zip(&copies) {
        sh(&format!("sync; cmp {} {}", image.display(), copy.display()));
        fs::remove_file(copy).unwrap();
    }
    serde_json::from_str(&output.stdout).unwrap()
}

/// The same for a device that may be written to: an image's own devices refuse writes, so only
/// here it shows whether a driver was kept from replaying a journal or clearing orphans.
fn scan_device(image: &Path) -> Value {
    let copy = image.with_extension("before");
    sh(&format!(
        "cp --sparse=always {} {}",
        image.display(),
        copy.display()
    ));
    let device = sh(&format!("losetup --find --show {}", image.display()));
    let device = device.trim();
    assert_eq!(sh(&format!("blockdev --getro {device}")), "0\n");
    let output = newroot(["scan", "--json", device]).run();
    output.code(0).stderr_is("");
    sh(&format!(
        "blockdev --flushbufs {device}; losetup -d {device}; cmp {} {}",
        image.display(),
        copy.display()
    ));
    serde_json::from_str(&output.stdout).unwrap()
}

fn only_system(found: &Value) -> &Value {
    let systems = found["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1, "{found:#}");
    &systems[0]
}

fn ext4(path: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let image = filesystem(path, 32, "mkfs.ext4 -q");
    filled(&image, fill);
    image
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

fn wtmp(when: u32) -> Vec<u8> {
    let mut record = vec![0; 384];
    record[0] = 2;
    record[44..50].copy_from_slice(b"reboot");
    record[340..344].copy_from_slice(&when.to_le_bytes());
    record
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

fn usr_and_boot_apart() {
    let usr = filesystem("/tmp/usr.img", 32, "mkfs.ext4 -q -L usr");
    let boot = filesystem("/tmp/boot.img", 32, "mkfs.ext4 -q");
    let var = filesystem("/tmp/var.img", 32, "mkfs.ext4 -q");
    let fstab = format!(
        "/dev/disk/by-uuid/{} /boot ext4\nLABEL=usr /usr ext4\nUUID={} /var ext4\n/dev/mapper/home /home ext4\n",
        uuid(&boot),
        uuid(&var)
    );
    let root = ext4("/tmp/root.img", |top| {
        system(top, DEBIAN, "apart", &fstab);
        kernel(top, "6.1.0-38-amd64", true);
        fs::write(top.join("var/log/wtmp"), wtmp(5000)).unwrap();
        for (image, directory) in [(&usr, "usr"), (&boot, "boot"), (&var, "var")] {
            let from = top.join(directory);
            filled(image, |to| {
                sh(&format!("cp -a {}/. {}", from.display(), to.display()));
            });
            sh(&format!("rm -r {}/*", from.display()));
        }
    });
    let found = scan(&[&root, &usr, &boot, &var]);
    let system = only_system(&found);
    assert_eq!(system["os"]["id"], "debian");
    assert_eq!(system["arch"], "amd64");
    assert_eq!(system["boot"]["kernels"][0]["version"], "6.1.0-38-amd64");
    assert_eq!(system["boot"]["kernels"][0]["modules"], true);
    assert_eq!(system["last_boot"]["time"], 5000);
    assert_eq!(system["fstab"][3]["state"], "missing");
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

fn deployments_and_nixos() {
    let release = "ID=fedora\nNAME=\"Fedora Linux\"\nVERSION_ID=43\nVARIANT_ID=silverblue\n";
    let atomic = ext4("/tmp/atomic.img", |top| {
        let base = top.join("ostree/deploy/fedora/deploy");
        for name in ["aaaa.0", "bbbb.0"] {
            fs::create_dir_all(base.join(name)).unwrap();
            fs::write(base.join(format!("{name}.origin")), "").unwrap();
            system(&base.join(name), release, "atomic", "");
        }
        sh(&format!("touch -d 2001-01-01 {}/aaaa.0", base.display()));
        fs::create_dir_all(top.join("boot")).unwrap();
    });
    let nixos = ext4("/tmp/nixos.img", |top| {
        for directory in ["etc", "nix/store/abc-etc", "bin"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        fs::write(top.join("etc/NIXOS"), "").unwrap();
        fs::write(
            top.join("nix/store/abc-etc/os-release"),
            "ID=nixos\nNAME=NixOS\n",
        )
        .unwrap();
        sh(&format!(
            "ln -s /nix/store/abc-etc {0}/etc/static; ln -s /etc/static/os-release {0}/etc/os-release",
            top.display()
        ));
    });
    let found = scan(&[&atomic, &nixos]);
    let systems = found["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{found:#}");
    assert_eq!(
        systems[0]["root"]["deployment"],
        "/ostree/deploy/fedora/deploy/bbbb.0"
    );
    assert_eq!(systems[0]["folded"], 1);
    assert_eq!(systems[1]["os"]["id"], "nixos");
}

fn what_somebody_holds() {
    let image = ext4("/tmp/root.img", |top| system(top, DEBIAN, "web03", ""));
    // A program that writes to the image, as a virtual machine would.
    let mut holder = Command::new("sh")
        .args(["-c", "exec 3<>/tmp/root.img; echo ready; exec sleep 1000"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let stdout = holder.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut ready).unwrap();
    let found = scan(&[&image]);
    assert_eq!(found["systems"].as_array().unwrap().len(), 0);
    assert_eq!(found["skipped"][0]["reason"], "in-use");
    assert_eq!(found["skipped"][0]["detail"]["pid"], holder.id());
    holder.kill().unwrap();
    holder.wait().unwrap();

    // Mounted by the user: read through the mount, though something hides its /etc.
    let point = mount(&image, "rw");
    let device = sh(&format!("findmnt -no SOURCE {}", point.display()));
    let hidden = point.join("etc");
    sh(&format!("mount -t tmpfs none {}", hidden.display()));
    let output = newroot(["scan", "--json", device.trim()]).run();
    output.code(0);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(only_system(&found)["hostname"], "web03");
    sh(&format!("umount {}", hidden.display()));
    unmount(&point);
}

fn a_hostile_system() {
    let image = filesystem("/tmp/evil.img", 64, "mkfs.ext4 -q");
    fs::write("/tmp/outside", "ID=outside\nNAME=outside\n").unwrap();
    filled(&image, |top| {
        let mut fstab = vec![b'x'; 10 << 20];
        fstab.extend(b"\nUUID=1 /\x1b[2Jx ext4\nUUID=2 /../../../tmp ext4\n");
        for number in 0..500 {
            fstab.extend(format!("UUID={number} /{number} ext4\n").bytes());
        }
        system(
            top,
            "ID=evil\x1b[31m\nNAME=\"\x1b]0;owned\x07\"\n",
            "ev\x1b[2Jil",
            "",
        );
        fs::write(top.join("etc/fstab"), fstab).unwrap();
        let at = top.display();
        sh(&format!(
            "cd {at}; rm etc/os-release usr/lib/os-release; \
             ln -s ../../../../../../../tmp/outside etc/os-release; mkfifo usr/lib/os-release; \
             mkfifo etc/crypttab var/log/wtmp boot/vmlinuz-1; ln -s /dev/zero etc/machine-id; \
             ln -s loop boot/loop; ln -s . boot/grub; mknod etc/debian_version c 1 5"
        ));
    });
    let found = scan(&[&image]);
    assert_ne!(found["systems"][0]["os"]["id"], "outside");
    let output = newroot([OsStr::new("scan"), image.as_os_str()]).run();
    output.code(0);
    assert!(!output.stdout.contains('\x1b'), "{}", output.stdout);
    output.stdout_has("ev\\x1b[2Jil");
}

fn no_system_at_all() {
    let data = ext4("/tmp/data.img", |top| {
        fs::write(top.join("notes"), "").unwrap();
    });
    let garbage = empty("/tmp/garbage.img", 1);
    fs::write(&garbage, vec![0x55; 100_000]).unwrap();
    let found = scan(&[&data, &garbage]);
    assert_eq!(found["systems"].as_array().unwrap().len(), 0);
    newroot(["scan", "/tmp/data.img"])
        .run()
        .code(0)
        .stdout_is("")
        .stderr_is(
            "no installed system found. Nothing was written.\n\
             Next, all disks of this machine: newroot scan\n",
        );
    let blank = "garbage.img: no filesystem and no partition table recognised";
    assert_eq!(found["notes"], serde_json::json!([blank]));
    for verb in ["scan", "doctor"] {
        let output = newroot([verb, "/tmp/garbage.img"]).run();
        output.stderr_has(blank).stderr_has("newroot scan\n");
    }
    newroot(["scan", "/tmp/data.img", "web03"])
        .run()
        .code(125)
        .stderr_has("no system fits \"web03\": no installed system was found at all");
    newroot(["scan", "/tmp/none.img"])
        .run()
        .code(125)
        .stderr_has("No such file")
        .stderr_has("newroot scan\n");
    newroot(["scan", "/dev/null"])
        .run()
        .code(125)
        .stderr_has("neither a block device nor an image")
        .stderr_has("newroot scan\n");
}
