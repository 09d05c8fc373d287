//! `newroot mount` and `umount` on images and devices: the whole fstab, nothing written to what
//! is only looked at, nothing left behind, nobody hurt.

mod busy;
mod hostile;
mod kill;
mod layout;
mod names;
mod options;
mod unclean;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::disk::{DEBIAN, before as copy, disk, filesystem, filled, sh, system, uuid};
use crate::need::Need;
use crate::run::{Output, newroot};
use crate::trial::Trial;

const EXT4: [Need; 3] = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
const XFS: [Need; 3] = [Need::Loop, Need::Fs("xfs"), Need::Command("mkfs.xfs")];
const BTRFS: [Need; 3] = [Need::Loop, Need::Fs("btrfs"), Need::Command("mkfs.btrfs")];

pub(crate) fn trials() -> Vec<Trial> {
    [
        names::trials(),
        unclean::trials(),
        layout::trials(),
        options::trials(),
        busy::trials(),
        hostile::trials(),
        kill::trials(),
    ]
    .concat()
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
