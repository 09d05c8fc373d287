//! A target that means harm: nothing outside of it is read or written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{inside, records, rescue, target};
use crate::leak::mounts;
use crate::need::Need;
use crate::snapshot::Snapshot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::new(
        "rescue::hostile_target",
        &[Need::Command("busybox")],
        hostile,
    )]
}

/// What every link leads to, and what must stay as it is.
fn canary() -> Snapshot {
    let canary = Path::new("/mnt/canary");
    for name in ["sbin", "run", "grub", "entries"] {
        fs::create_dir_all(canary.join(name)).unwrap();
    }
    for (name, text) in [
        ("secret", "root=SECRET\n"),
        ("grub/grub.cfg", "linux /k root=SECRET\n"),
        ("entries/a.conf", "options root=SECRET\n"),
        ("sbin/policy-rc.d", "#!/bin/sh\nexit 0\n"),
        ("resolv.conf", "nameserver SECRET\n"),
    ] {
        fs::write(canary.join(name), text).unwrap();
    }
    Snapshot::of(canary)
}

fn hostile() {
    let before = canary();
    let host = mounts();
    let ways = [
        "/mnt/canary",
        "../../../mnt/canary",
        "../../canary",
        "/proc/1/root/mnt/canary",
    ];
    for way in ways {
        let root = target();
        let links = [
            ("etc/kernel/cmdline", "secret"),
            ("boot/grub", "grub"),
            ("boot/loader", "."),
            ("usr/sbin", "sbin"),
            ("etc/hostname", "secret"),
            ("etc/resolv.conf", "resolv.conf"),
            ("var/log", "."),
        ];
        for (name, leads) in links {
            let path = root.join(name);
            fs::remove_file(&path)
                .or_else(|_| fs::remove_dir_all(&path))
                .ok();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(Path::new(way).join(leads), &path).unwrap();
        }
        let shown = inside("cat /proc/cmdline; ls /usr/sbin; /usr/sbin/policy-rc.d; true").run();
        shown.code(0);
        assert!(!shown.stdout.contains("SECRET"), "{way}: {}", shown.stdout);
        assert_eq!(mounts(), host, "{way}");
        Snapshot::of(Path::new("/mnt/canary")).assert_same(&before);
        fs::remove_dir_all("/mnt/r").unwrap();
    }
    odd_files(&before);
}

/// Links that go in circles, FIFOs, devices, endless lines, control characters.
fn odd_files(before: &Snapshot) {
    let root = target();
    for (name, leads) in [("boot/loader", "loader"), ("usr/sbin", "../usr/sbin")] {
        let path = root.join(name);
        fs::remove_dir(&path).ok();
        symlink(leads, path).unwrap();
    }
    fs::remove_file(root.join("etc/kernel/cmdline")).unwrap();
    for name in ["etc/kernel/cmdline", "etc/resolv.conf", "etc/fstab"] {
        let status = std::process::Command::new("mkfifo")
            .arg(root.join(name))
            .status()
            .unwrap();
        assert!(status.success());
    }
    fs::create_dir_all(root.join("boot/grub/grub.cfg")).unwrap();
    fs::write(root.join("etc/hostname"), "a\x1b[2J/../../x\n").unwrap();
    let output = rescue(&["--read-write", "/mnt/r", "--", "true"]).run();
    output.code(0);
    assert!(!output.stderr.contains('\x1b'), "{:?}", output.stderr);
    // 10 MiB on one line, and five hundred entries.
    fs::remove_file(root.join("etc/fstab")).unwrap();
    let mut text = "x".repeat(10 << 20);
    for number in 0..500 {
        text.push_str(&format!(
            "\nUUID={number} /../../mnt/canary/{number} ext4 defaults 0 0"
        ));
    }
    fs::write(root.join("etc/fstab"), text).unwrap();
    rescue(&["--read-write", "/mnt/r", "--", "true"])
        .run()
        .code(0);
    let logs = fs::read_dir("/run/newroot").unwrap().count();
    assert!(logs < 4);
    assert!(records().is_empty());
    Snapshot::of(Path::new("/mnt/canary")).assert_same(before);
}
