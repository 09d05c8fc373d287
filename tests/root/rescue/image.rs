//! A target that is mounted by newroot: an image file with a filesystem.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{records, rescue, target};
use crate::need::Need;
use crate::run::newroot;
use crate::tmux::Tmux;
use crate::trial::Trial;

const UUID: &str = "3f2a77aa-0000-4000-8000-000000000001";

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Command("busybox"),
        Need::Command("mke2fs"),
        Need::Command("debugfs"),
        Need::Command("tmux"),
        Need::Command("blkid"),
        Need::Loop,
        Need::Fs("ext4"),
    ];
    vec![
        Trial::new("rescue::an_image", needs, image),
        Trial::new("rescue::the_menu_of_an_image", needs, menu),
        Trial::new("rescue::an_image_killed_at_random_moments", needs, killed)
            .timeout(Duration::from_secs(300)),
    ]
}

/// Loop devices are the machine's: each trial has a name of its own.
fn make(image: &str) {
    let root = target();
    let fstab = format!("UUID={UUID} / ext4 defaults 0 1\nUUID=77c1 /data ext4 defaults 0 2\n");
    fs::write(root.join("etc/fstab"), fstab).unwrap();
    let made = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-U", UUID, "-d", "/mnt/r", image, "32M"])
        .status()
        .unwrap();
    assert!(made.success());
    fs::remove_dir_all("/mnt/r").unwrap();
}

/// What a directory of the image holds, as the filesystem itself says.
fn names(image: &str, directory: &str) -> String {
    let ask = format!("ls -p {directory}");
    let output = Command::new("debugfs")
        .args(["-R", &ask, image])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn image() {
    const IMAGE: &str = "/tmp/web03.img";
    make(IMAGE);
    let before = fs::read(IMAGE).unwrap();
    rescue(&[
        "--read-only",
        IMAGE,
        "--",
        "sh",
        "-c",
        "cat /proc/cmdline; touch /x",
    ])
    .run()
    .code(1)
    .stdout_is("root=UUID=3f2a ro\n")
    .stderr_has("WARN  /data is not mounted")
    .stderr_has("Closed: 1 mount gone, web03.img is free (checked). This machine is as before.");
    assert!(fs::read(IMAGE).unwrap() == before, "a look has written");
    rescue(&[
        "--read-write",
        IMAGE,
        "--",
        "sh",
        "-c",
        "touch /made; /usr/sbin/policy-rc.d",
    ])
    .run()
    .code(101)
    .stderr_has("is free (checked)");
    assert!(names(IMAGE, "/").contains("made"));
    assert!(!names(IMAGE, "/usr/sbin").contains("policy"));
    assert!(records().is_empty());
    // What -n prints is what opens it.
    newroot(["-n", "rescue", IMAGE, "--", "ls"])
        .run()
        .code(0)
        .stdout_has("mount -t ext4")
        .stdout_has("# then /mnt is entered");
}

fn menu() {
    const IMAGE: &str = "/tmp/web03-menu.img";
    make(IMAGE);
    let tmux = Tmux::start();
    let binary = std::env::var("NEWROOT_BIN").unwrap();
    tmux.line(&format!("clear; {binary} rescue {IMAGE}"));
    let screen = tmux.wait_for_last_line("Choice:");
    for part in [
        "web03, Debian 12, open READ-ONLY. Nothing changed yet.",
        "/  web03-menu.img ext4     /data  MISSING",
        "WARN  /data is not mounted",
    ] {
        assert!(screen.contains(part), "{part:?}\n{screen}");
    }
    tmux.line("report");
    tmux.wait_for_last_line("Choice:");
    tmux.line("shell");
    tmux.wait_for("Mount web03 read-write? Type yes or no [no]:");
    tmux.line("yes");
    tmux.wait_for_last_line("(newroot:web03)#");
    tmux.line("touch /made; exit");
    let screen = tmux.wait_for_last_line("Choice:");
    assert!(screen.contains("open READ-WRITE"), "{screen}");
    tmux.line("finish");
    let screen = tmux.wait_for_last_line("outer$");
    assert!(screen.contains("is free (checked)"), "{screen}");
    assert!(names(IMAGE, "/").contains("made"));
    assert!(records().is_empty());
}

fn killed() {
    const IMAGE: &str = "/tmp/web03-killed.img";
    make(IMAGE);
    let mut dead = 0;
    for number in 0_u64..100 {
        let run = rescue(&["--read-write", IMAGE, "--", "sh", "-c", "sleep 0.05"]);
        let mut child = run.spawn(Stdio::null(), Stdio::null(), Stdio::null());
        std::thread::sleep(Duration::from_micros(number * 15_013 % 250_000));
        child.kill().unwrap();
        child.wait().unwrap();
        dead += usize::from(!records().is_empty());
        newroot(["cleanup"]).run().code(0);
        assert!(records().is_empty(), "{number}: {:?}", records());
        assert!(!names(IMAGE, "/usr/sbin").contains("policy"), "{number}");
        // A blkid that newroot had started may live a little longer, and holds its loop device.
        crate::enter::until("no loop device is left", || {
            let loops = Command::new("losetup").arg("-a").output().unwrap();
            !String::from_utf8_lossy(&loops.stdout).contains(IMAGE)
        });
    }
    assert!(dead > 20, "hit while it ran: {dead}");
    assert!(Path::new(IMAGE).exists());
}
