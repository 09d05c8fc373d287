//! Who is in the way of `umount`, and what the user had mounted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{EXT4, ext4, has, marked, mounted, nothing_left, run, spawn, wait_for, web03};
use crate::disk::{DEBIAN, mount, sh, system, unmount, uuid};
use crate::holder::Holder;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::who_is_in_the_way", &EXT4, who_is_in_the_way),
        Trial::new("mount::what_the_user_mounted", &EXT4, what_the_user_mounted),
    ]
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
