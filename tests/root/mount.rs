//! `newroot mount` and `umount` on images and devices: the whole fstab, nothing written to what
//! is only looked at, nothing left behind, nobody hurt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::disk::{
    DEBIAN, cut_off, disk, filesystem, filled, mount, poke, sh, system, unmount, uuid,
};
use crate::holder::Holder;
use crate::need::Need;
use crate::run::{Output, newroot};
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    let xfs = [Need::Loop, Need::Fs("xfs"), Need::Command("mkfs.xfs")];
    let btrfs = [Need::Loop, Need::Fs("btrfs"), Need::Command("mkfs.btrfs")];
    vec![
        Trial::new("mount::every_kind_of_name", &ext4, every_kind_of_name),
        Trial::new(
            "mount::the_dry_run_does_the_same",
            &ext4,
            the_dry_run_does_the_same,
        ),
        Trial::new(
            "mount::an_mbr_disk_as_a_device",
            &ext4,
            an_mbr_disk_as_a_device,
        ),
        Trial::new(
            "mount::ext4_after_a_power_cut",
            &ext4,
            ext4_after_a_power_cut,
        ),
        Trial::new("mount::xfs_after_a_power_cut", &xfs, xfs_after_a_power_cut),
        Trial::new("mount::btrfs_subvolumes", &btrfs, btrfs_subvolumes),
        Trial::new(
            "mount::btrfs_default_subvolume",
            &btrfs,
            btrfs_default_subvolume,
        ),
        Trial::new("mount::several_devices", &btrfs, several_devices),
        Trial::new("mount::a_deployment", &ext4, a_deployment),
        Trial::new(
            "mount::read_write_and_its_reasons",
            &ext4,
            read_write_and_its_reasons,
        ),
        Trial::new("mount::who_is_in_the_way", &ext4, who_is_in_the_way),
        Trial::new("mount::what_the_user_mounted", &ext4, what_the_user_mounted),
        Trial::new("mount::what_cannot_be_opened", &ext4, what_cannot_be_opened),
        Trial::new("mount::a_hostile_target", &ext4, a_hostile_target),
        Trial::new("mount::killed_at_any_moment", &ext4, killed_at_any_moment)
            .timeout(Duration::from_secs(400)),
    ]
}

fn run(arguments: &[&str]) -> Output {
    newroot(arguments).run()
}

/// `TARGET SOURCE-TYPE OPTIONS` of what is mounted at and below a directory.
fn mounted(at: &str) -> String {
    sh(&format!(
        "findmnt -rno TARGET,FSTYPE,OPTIONS -R {at} 2>/dev/null | grep -v tmpfs || true"
    ))
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Nothing of it is left: no mount, no loop device on it, no record. A blkid that newroot asked
/// outlives it for a moment when it is killed.
#[track_caller]
fn nothing_left(image: &Path) {
    assert_eq!(mounted("/mnt"), "");
    let script = format!("losetup -n -O NAME -j {}", image.display());
    wait_for(|| sh(&script).is_empty());
    let left: Vec<_> = fs::read_dir("/run/newroot").into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

fn copy(image: &Path) -> PathBuf {
    let copy = image.with_extension("before");
    sh(&format!(
        "cp --sparse=always {} {}",
        image.display(),
        copy.display()
    ));
    copy
}

#[track_caller]
fn same(image: &Path, copy: &Path) {
    sh(&format!("sync; cmp {} {}", image.display(), copy.display()));
}

fn ext4(path: &str, options: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let image = filesystem(path, 16, &format!("mkfs.ext4 -q {options}"));
    filled(&image, fill);
    image
}

fn marked(path: &str, options: &str, mark: &str) -> PathBuf {
    ext4(path, options, |top| fs::write(top.join(mark), "").unwrap())
}

/// A GPT disk with a root that names its other partitions in every way there is.
fn web03(path: &str) -> PathBuf {
    let boot = marked("/tmp/p2", "", "is-boot");
    let data = marked("/tmp/p3", "-L data", "is-data");
    let srv = marked("/tmp/p4", "-L 'my srv'", "is-srv");
    let var = marked("/tmp/p5", "", "is-var");
    let log = marked("/tmp/p6", "", "is-log");
    let root = filesystem("/tmp/p1", 32, "mkfs.ext4 -q");
    let fstab = format!(
        "UUID={} / ext4 errors=remount-ro,x-systemd.x 0 1\n\
         /dev/disk/by-label/my\\x20srv /srv ext4 nofail,noexec 0 2\n\
         PARTUUID=0b2f6e2b-9c0e-4e58-8a7e-0123456789ab /boot ext4 usrquota 0 2\n\
         /dev/disk/by-uuid/{} /var/log ext4 defaults 0 2\n\
         LABEL=data /var/data ext4 defaults 0 2\n\
         PARTLABEL=variable /var ext4 nosuid 0 2\n\
         /srv/share /opt/share none bind 0 0\n\
         UUID=77c1a2f0-0000-0000-0000-000000000000 /gone ext4 defaults 0 2\n\
         LABEL=data /backup ext4 noauto 0 0\n\
         srv:/export /nfs nfs defaults 0 0\n\
         tmpfs /tmp tmpfs defaults 0 0\nUUID=1 none swap sw 0 0\nproc /proc proc defaults\n",
        uuid(&root),
        uuid(&log),
    );
    filled(&root, |top| {
        system(top, DEBIAN, "web03", &fstab);
        for point in ["srv", "opt/share", "backup", "nfs", "gone"] {
            fs::create_dir_all(top.join(point)).unwrap();
        }
    });
    filled(&var, |top| {
        fs::create_dir(top.join("log")).unwrap();
        fs::create_dir(top.join("data")).unwrap();
    });
    filled(&srv, |top| {
        fs::create_dir(top.join("share")).unwrap();
        fs::write(top.join("share/is-share"), "").unwrap();
    });
    let table = "label: gpt\nsize=32MiB, type=L\n\
        size=16MiB, type=L, uuid=0B2F6E2B-9C0E-4E58-8A7E-0123456789AB\n\
        size=16MiB, type=L\nsize=16MiB, type=L\nsize=16MiB, type=L, name=variable\n\
        size=16MiB, type=L\n";
    let content = [
        (1, &root),
        (2, &boot),
        (3, &data),
        (4, &srv),
        (5, &var),
        (6, &log),
    ];
    let content = content.map(|(number, image)| (number, image.as_path()));
    disk(path, 120, table, &content)
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

fn ext4_after_a_power_cut() {
    let image = filesystem("/tmp/root.img", 32, "mkfs.ext4 -q");
    filled(&image, |top| system(top, DEBIAN, "web03", ""));
    cut_off(&image, |top| {
        fs::write(top.join("var/log/new"), vec![7; 4096]).unwrap();
        let open = fs::File::create(top.join("var/log/deleted")).unwrap();
        open.set_len(1 << 20).unwrap();
        fs::remove_file(top.join("var/log/deleted")).unwrap();
        sh(&format!("sync -f {}", top.display()));
        Some(open)
    });
    let features = sh("dumpe2fs -h /tmp/root.img 2>/dev/null");
    has(&features, &["needs_recovery", "First orphan inode"]);
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

fn read_write_and_its_reasons() {
    let swap = filesystem("/tmp/swap", 8, "mkswap");
    let root = ext4("/tmp/root", "", |top| system(top, DEBIAN, "web03", ""));
    let table = "label: gpt\nsize=16MiB, type=L\nsize=8MiB, type=S\n";
    let image = disk("/tmp/disk.img", 40, table, &[(1, &root), (2, &swap)]);
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(0)
        .stderr_has("read-write at /mnt");
    fs::write("/mnt/etc/new", "").unwrap();
    run(&["umount", "web03"]).code(0);
    nothing_left(&image);

    poke(&swap, 0xff6, b"S1SUSPEND\0");
    let image = disk("/tmp/disk.img", 40, table, &[(1, &root), (2, &swap)]);
    let before = copy(&image);
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(125)
        .stderr_has("it is hibernated: its memory lies in disk.img p2")
        .stderr_has("--discard-hibernation");
    nothing_left(&image);
    run(&["-y", "mount", "--read-write", "/tmp/disk.img"]).code(125);
    run(&["mount", "/tmp/disk.img"])
        .code(0)
        .stderr_has("READ-ONLY");
    run(&["umount", "web03"]).code(0);
    same(&image, &before);
    run(&[
        "mount",
        "--read-write",
        "--discard-hibernation",
        "/tmp/disk.img",
    ])
    .code(0);
    run(&["umount", "web03"]).code(0);

    // Errors that the kernel noted in the superblock (EXT4_ERROR_FS).
    let state = sh("dumpe2fs -h /tmp/root 2>/dev/null; tune2fs -O ^metadata_csum /tmp/root");
    assert!(!state.contains("with errors"), "{state}");
    poke(&root, 1024 + 0x3a, &[3]);
    let image = disk(
        "/tmp/disk.img",
        40,
        "label: gpt\nsize=16MiB, type=L\n",
        &[(1, &root)],
    );
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(125)
        .stderr_has("is marked as having errors")
        .stderr_has("--filesystem-errors");
    run(&["mount", "/tmp/disk.img"]).code(0);
    run(&["umount", "web03"]).code(0);
    run(&[
        "mount",
        "--read-write",
        "--filesystem-errors",
        "/tmp/disk.img",
    ])
    .code(0);
    run(&["umount", "web03"]).code(0);
    nothing_left(&image);
}

fn who_is_in_the_way() {
    let image = web03("/tmp/way.img");
    run(&["mount", "/tmp/way.img"]).code(0);
    let holder = Holder::in_directory(Path::new("/mnt/var/log"));
    let pid = holder.pid();
    run(&["umount", "/mnt"])
        .code(122)
        .stderr_has(&format!("process {pid} ("))
        .stderr_has("/sleep) still holds the session: working directory /mnt/var/log")
        .stderr_has("nothing was forced");
    has(
        &mounted("/mnt"),
        &["/mnt ext4", "/mnt/var ext4", "/mnt/var/log ext4"],
    );
    drop(holder);

    // A colleague works there.
    let mut colleague = spawn(&["enter", "/mnt", "/bin/ls"]);
    colleague.wait().unwrap();
    let root = crate::need::find_program("busybox").unwrap();
    fs::write("/tmp/hold", "").unwrap();
    sh(&format!(
        "mkdir -p /tmp/bin; cp {} /tmp/bin/busybox",
        root.display()
    ));
    let mut colleague = spawn(&[
        "enter",
        "--bind",
        "/tmp/bin:/usr/bin",
        "/mnt",
        "/usr/bin/busybox",
        "sleep",
        "1000",
    ]);
    wait_for(|| run(&["ps"]).stdout.contains("enter"));
    run(&["umount", "web03"])
        .code(125)
        .stderr_has("works there")
        .stderr_has("newroot stop mnt-");
    has(&mounted("/mnt"), &["/mnt/boot ext4"]);
    let pid = i32::try_from(colleague.id()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    colleague.wait().unwrap();

    // Something else is mounted on top: it is named, and left.
    sh("mount -t tmpfs none /mnt/boot");
    run(&["umount", "web03"])
        .code(122)
        .stderr_has("something else is mounted over /mnt/boot");
    sh("umount /mnt/boot");
    run(&["umount", "web03"]).code(0);
    nothing_left(&image);

    // Another mount namespace keeps a private copy: the device is not free, and who has it is said.
    run(&["mount", "/tmp/way.img"]).code(0);
    let mut other = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(|| {
        let read = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let comm = fs::read_to_string(format!("/proc/{}/comm", other.id()));
        comm.is_ok_and(|comm| comm.trim() == "sleep")
            && read(&other.id().to_string()) != read("self")
    });
    run(&["umount", "web03"])
        .code(122)
        .stderr_has(&format!("process {} (", other.id()))
        .stderr_has("mounted in its mount namespace");
    other.kill().unwrap();
    other.wait().unwrap();
    run(&["umount", "/mnt"]).code(0);
    nothing_left(&image);
}

fn spawn(arguments: &[&str]) -> Child {
    newroot(arguments).spawn(Stdio::null(), Stdio::null(), Stdio::null())
}

#[track_caller]
fn wait_for(mut what: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not happen");
}

/// The user's own half-finished work is completed where it is, and left as it was found.
fn what_the_user_mounted() {
    let boot = marked("/tmp/boot.img", "", "is-boot");
    let root = ext4("/tmp/root.img", "", |top| {
        let fstab = format!("UUID={} /boot ext4 defaults 0 2\n", uuid(&boot));
        system(top, DEBIAN, "web03", &fstab);
    });
    let boot_device = sh("losetup --find --show /tmp/boot.img");
    let point = mount(&root, "rw");
    let at = point.display().to_string();
    let before = mounted("/mnt");
    run(&["mount", "web03"])
        .code(0)
        .stderr_has(&format!("at {at}, as somebody mounted it"));
    fs::metadata(point.join("boot/is-boot")).unwrap();
    run(&["umount", "web03"]).code(0).stderr_has("1 mount gone");
    assert_eq!(mounted("/mnt"), before);
    fs::write(point.join("etc/still"), "").unwrap();
    unmount(&point);
    sh(&format!("losetup -d {boot_device}"));
    nothing_left(&root);
}

fn what_cannot_be_opened() {
    let data = marked("/tmp/data.img", "", "notes");
    run(&["mount", "/tmp/data.img"])
        .code(125)
        .stderr_has("no system fits")
        .stdout_is("");
    run(&["mount", "/tmp/none.img"])
        .code(125)
        .stderr_has("No such file");
    run(&["mount", "/tmp"])
        .code(125)
        .stderr_has("it is a directory")
        .stderr_has("newroot enter /tmp");
    run(&["mount", "nosuchhost"])
        .code(125)
        .stderr_has("no system fits \"nosuchhost\"");
    run(&["mount", "/tmp/data.img", "/tmp/data.img"])
        .code(125)
        .stderr_has("it is no directory");
    run(&["mount", "/tmp/data.img", "/"])
        .code(125)
        .stderr_has("this running system");
    run(&["umount", "/"])
        .code(125)
        .stderr_has("newroot has not mounted it");
    nothing_left(&data);
    let one = ext4("/tmp/one", "", |top| system(top, DEBIAN, "one", ""));
    let two = ext4("/tmp/two", "", |top| system(top, DEBIAN, "two", ""));
    let table = "label: gpt\nsize=16MiB, type=L\nsize=16MiB, type=L\n";
    let image = disk("/tmp/both.img", 40, table, &[(1, &one), (2, &two)]);
    run(&["mount", "/tmp/both.img"])
        .code(125)
        .stderr_has("several fit")
        .stderr_has("both.img p2")
        .stderr_has("losetup --find --show /tmp/both.img");
    nothing_left(&image);
    // An option that the driver does not know is no reason to leave it out.
    let root = ext4("/tmp/odd.img", "-L odd", |top| {
        system(
            top,
            DEBIAN,
            "odd",
            "LABEL=odd / ext4 nosuchoption,errors=remount-ro 0 1\n",
        );
    });
    run(&["mount", "--read-write", "/tmp/odd.img"])
        .code(0)
        .stderr_has("mounted without some of its options");
    run(&["umount", "odd"]).code(0);
    nothing_left(&root);
}

/// Links everywhere, names with control characters, files of the wrong kind: nothing outside of
/// the target is touched, nothing hangs.
fn a_hostile_target() {
    fs::create_dir("/tmp/outside").unwrap();
    fs::write("/tmp/outside/fstab", "UUID=outside / ext4\n").unwrap();
    let data = marked("/tmp/data", "-L data", "is-data");
    let root = filesystem("/tmp/root", 32, "mkfs.ext4 -q");
    let fill = |top: &Path| {
        let mut fstab = vec![b'x'; 10 << 20];
        for point in [
            "/boot",
            "/srv",
            "/../../../tmp/outside",
            "/opt/../../../tmp/outside",
            "/loop",
            "/to-root",
            "/relative",
            "/fifo",
            "/device",
            "/file",
            "/a\x1b[2Jb",
            "/home",
            "/proc/1/root",
            "/dev/shm",
        ] {
            fstab.extend(format!("\nLABEL=data {point} ext4 defaults").bytes());
        }
        fstab.extend(
            b"\n/ /all none rbind\n/../../tmp/outside /bound none bind\n/fifo /bound2 none bind",
        );
        for number in 0..500 {
            fstab.extend(format!("\n/all /many/{number} none rbind").bytes());
        }
        system(top, DEBIAN, "ev\x1b[2Jil", "");
        let at = top.display();
        sh(&format!(
            "cd {at}; rmdir boot; mkdir -p all many bound home bound2 tmp/outside
             for number in $(seq 0 499); do mkdir many/$number; done
             ln -s /tmp/outside boot; ln -s ../../../../../../tmp/outside srv
             ln -s ../../tmp/outside relative; ln -s loop loop; ln -s / to-root
             mkfifo fifo; mknod device b 7 0; : >file; mkdir \"$(printf 'a\\033[2Jb')\""
        ));
        fs::write(top.join("etc/fstab"), fstab).unwrap();
    };
    filled(&root, fill);
    let table = "label: gpt\nsize=32MiB, type=L\nsize=16MiB, type=L\n";
    let image = disk("/tmp/evil.img", 60, table, &[(1, &root), (2, &data)]);
    let before = copy(&image);
    let outside = crate::snapshot::Snapshot::of(Path::new("/tmp/outside"));
    let output = run(&["mount", "/tmp/evil.img"]);
    output.code(0).stderr_has("a\\x1b[2Jb");
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
    let table = sh("findmnt -rno TARGET");
    let astray: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("outside") && !line.starts_with("/mnt/"))
        .collect();
    assert!(astray.is_empty(), "{astray:?}");
    assert!(mounted("/mnt").lines().count() <= 200);
    fs::metadata("/mnt/home/is-data").unwrap();
    crate::snapshot::Snapshot::of(Path::new("/tmp/outside")).assert_same(&outside);
    run(&["umount", "/mnt"]).code(0);
    nothing_left(&image);
    same(&image, &before);

    // fstab, crypttab and os-release that are no files.
    for name in ["fstab", "crypttab"] {
        for make in [
            "mkfifo NAME",
            "mknod NAME c 1 5",
            "ln -s /tmp/outside/fstab NAME",
            "ln -s NAME NAME",
            "mkdir NAME",
            "ln -s /dev/zero NAME",
        ] {
            let script = make.replace("NAME", name);
            filled(&root, |top| {
                sh(&format!(
                    "cd {}/etc; rm -rf {name}; {script}",
                    top.display()
                ));
            });
            let output = run(&["mount", "/tmp/root"]);
            output.code(0);
            assert!(
                !output.stderr.contains("outside"),
                "{script}: {}",
                output.stderr
            );
            run(&["umount", "/tmp/root"]).code(0);
        }
    }
    // Its etc is a link out.
    filled(&root, |top| {
        sh(&format!(
            "cd {}; mv etc real; ln -s /tmp/outside etc; rm -rf tmp/outside; ln -s /real tmp/outside",
            top.display()
        ));
    });
    run(&["mount", "/tmp/root"]).code(0);
    run(&["umount", "/tmp/root"]).code(0);
    nothing_left(&root);
}

/// SIGKILL while it mounts: `cleanup`, or `umount` when it was done, brings everything back.
fn killed_at_any_moment() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    for round in 0..40_u64 {
        let mut child = spawn(&["mount", "/tmp/kill.img", "/mnt/new"]);
        std::thread::sleep(Duration::from_millis(5 + round * 13 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let standing = run(&["ps"]).stdout.contains("stands");
        if standing || round % 3 == 0 {
            // Nothing was recorded yet: then there is nothing to unmount either.
            run(&["umount", "/mnt/new"]);
        }
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "round {round}");
    }
    same(&image, &before);
}
