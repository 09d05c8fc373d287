//! Where a jail is built: full, read-only, a mount point, in use.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{command, is_there, jail, names};
use crate::disk::{filesystem, mount, unmount};
use crate::need::Need;
use crate::run::Run;
use crate::strace::{slowed, traced};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("jail::a_full_disk_leaves_nothing", &[], full_disk),
        Trial::new(
            "jail::a_full_disk_stops_the_workers",
            &[],
            full_disk_in_workers,
        ),
        Trial::new(
            "jail::a_full_ext4_leaves_nothing",
            &[Need::Loop, Need::Fs("ext4"), Need::Command("strace")],
            full_ext4,
        ),
        Trial::new(
            "jail::a_source_that_shrinks_leaves_no_blocks",
            &[Need::Loop, Need::Fs("ext4"), Need::Command("strace")],
            shrinking_source,
        ),
        Trial::new("jail::read_only", &[], read_only),
        Trial::new(
            "jail::a_mount_point_is_filled_from_inside",
            &[],
            mount_point,
        ),
        Trial::new("jail::remove_refuses_mounts", &[], remove_refuses_mounts),
        Trial::new(
            "jail::remove_refuses_who_runs_there",
            &[],
            remove_refuses_users,
        ),
        Trial::new("jail::many_files_in_workers", &[], many_files),
    ]
}

fn tmpfs(options: &str, at: &str) {
    fs::create_dir_all(at).unwrap();
    command(&["mount", "-t", "tmpfs", "-o", options, "tmpfs", at]);
}

fn build(dir: &str) -> Run {
    jail(&["build", dir, "bash"])
}

fn full_disk() {
    tmpfs("size=1m", "/mnt/small");
    build("/mnt/small/j")
        .run()
        .code(125)
        .stderr_has("the file system is full")
        .stderr_has("df -h /mnt/small")
        .stderr_has("nothing was left behind");
    assert_eq!(names("/mnt/small"), [""; 0]);
    // The mount point itself, too.
    build("/mnt/small")
        .run()
        .code(125)
        .stderr_has("the file system is full");
    assert_eq!(names("/mnt/small"), [""; 0]);
    assert_eq!(names("/run/newroot"), [""; 0]);
    command(&["umount", "/mnt/small"]);
}

/// Files that are worth a worker process each.
fn big_files(count: u8) {
    fs::create_dir_all("/tmp/big").unwrap();
    for number in 0..count {
        let bytes = vec![number; 8 << 20];
        fs::write(format!("/tmp/big/{number}"), bytes).unwrap();
    }
}

fn full_disk_in_workers() {
    big_files(6);
    tmpfs("size=20m", "/mnt/small");
    jail(&["build", "/mnt/small/j", "/tmp/big"])
        .run()
        .code(125)
        .stderr_has("cannot copy /tmp/big/")
        .stderr_has("the file system is full");
    assert_eq!(names("/mnt/small"), [""; 0]);
    command(&["umount", "/mnt/small"]);
}

/// Where a big file's blocks are asked for before its first byte is written.
fn full_ext4() {
    big_files(1);
    let image = filesystem("/tmp/disk", 6, "mkfs.ext4 -q");
    let point = mount(&image, "rw");
    let dir = point.join("j").display().to_string();
    let log = Path::new("/tmp/log");
    traced(jail(&["build", &dir, "/tmp/big"]), "fallocate", log)
        .run()
        .code(125)
        .stderr_has("cannot copy /tmp/big/0")
        .stderr_has("the file system is full");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("8388608) = -1 ENOSPC"), "{log}");
    assert_eq!(names(point.to_str().unwrap()), ["lost+found"]);
    unmount(&point);
}

/// Blocks are asked for by the size that the source had; what it does not fill any more goes back.
fn shrinking_source() {
    big_files(1);
    let image = filesystem("/tmp/disk", 64, "mkfs.ext4 -q");
    let point = mount(&image, "rw");
    let dir = point.join("j").display().to_string();
    let run = slowed(jail(&["build", &dir, "/tmp/big"]), "fallocate", 1);
    let mut child = run.spawn(Stdio::null(), Stdio::null(), Stdio::null());
    std::thread::sleep(Duration::from_secs(1));
    let source = fs::File::options().write(true).open("/tmp/big/0").unwrap();
    source.set_len(5000).unwrap();
    assert!(child.wait().unwrap().success());
    let copy = fs::metadata(format!("{dir}/tmp/big/0")).unwrap();
    assert_eq!(copy.len(), 5000);
    assert!(copy.blocks() < 1000, "{}", copy.blocks());
    jail(&["check", &dir]).run().code(0).stdout_is("");
    unmount(&point);
}

fn many_files() {
    big_files(6);
    fs::write("/tmp/big/small", "x").unwrap();
    jail(&["build", "j", "/tmp/big"]).run().code(0);
    for number in 0..6_u8 {
        let bytes = fs::read(format!("/tmp/j/tmp/big/{number}")).unwrap();
        assert!(bytes.len() == 8 << 20 && bytes.iter().all(|byte| *byte == number));
    }
    // The sums came through the pipe as they should.
    jail(&["check", "j"]).run().code(0).stdout_is("");
}

fn read_only() {
    tmpfs("ro", "/mnt/ro");
    for dir in ["/mnt/ro/j", "/mnt/ro"] {
        build(dir)
            .run()
            .code(125)
            .stderr_has("the file system is mounted read-only");
    }
    command(&["umount", "/mnt/ro"]);
}

fn mount_point() {
    tmpfs("size=64m,mode=0711", "/mnt/j");
    fs::create_dir("/mnt/j/lost+found").unwrap();
    build("/mnt/j").run().code(0);
    let names = names("/mnt/j");
    assert!(
        !names.iter().any(|name| name.starts_with(".newroot-")),
        "{names:?}"
    );
    jail(&["check", "/mnt/j"]).run().code(0);
    assert_eq!(super::works("/mnt/j", &["bash", "-c", "echo hi"]), "hi\n");
    fs::remove_dir("/mnt/j/lost+found").unwrap();
    jail(&["remove", "/mnt/j"]).run().code(0);
    assert_eq!(super::names("/mnt/j"), [""; 0]);
    command(&["umount", "/mnt/j"]);
}

fn remove_refuses_mounts() {
    build("j").run().code(0);
    tmpfs("size=1m", "/tmp/j/proc");
    for all in [&["remove", "j"][..], &["remove", "--all", "j"]] {
        jail(all)
            .run()
            .code(125)
            .stderr_has("something is mounted inside")
            .stderr_has("/tmp/j/proc")
            .stderr_has("umount /tmp/j/proc");
    }
    assert!(is_there("/tmp/j/usr/bin/bash"));
    jail(&["check", "j"])
        .run()
        .code(0)
        .stderr_has("something is mounted there: /proc");
    command(&["umount", "/tmp/j/proc"]);
    // A bind mount of the same file system has the same device number.
    fs::create_dir("/tmp/outside").unwrap();
    fs::write("/tmp/outside/precious", "x").unwrap();
    command(&["mount", "--bind", "/tmp/outside", "/tmp/j/tmp"]);
    jail(&["remove", "--all", "j"])
        .run()
        .code(125)
        .stderr_has("/tmp/j/tmp");
    command(&["umount", "/tmp/j/tmp"]);
    jail(&["remove", "j"]).run().code(0);
    assert!(is_there("/tmp/outside/precious"));
}

fn remove_refuses_users() {
    jail(&["build", "j", "sleep"]).run().code(0);
    let mut child = Command::new("chroot")
        .args(["/tmp/j", "sleep", "1000"])
        .spawn()
        .unwrap();
    // chroot(8) becomes sleep(1) only after a moment.
    let name = format!("/proc/{}/root", child.id());
    while fs::read_link(&name).is_ok_and(|root| root.to_str() == Some("/")) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let run = jail(&["remove", "j"]).run();
    child.kill().unwrap();
    child.wait().unwrap();
    run.code(125)
        .stderr_has("it is in use")
        .stderr_has(&format!("pid {}: its root directory is there", child.id()));
    jail(&["remove", "j"]).run().code(0);
}
