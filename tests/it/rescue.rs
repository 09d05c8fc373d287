//! `newroot rescue` for whoever may not mount, and what `-n` prints.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Need, need, newroot};

#[test]
fn without_root_the_way_out_is_named() {
    if rustix::process::geteuid().is_root() {
        // tests/run it runs as a user.
        return;
    }
    newroot(["rescue", "/", "--", "true"])
        .run()
        .code(125)
        .stdout_is("")
        .stderr_has("only root may open disks")
        .stderr_has("sudo newroot rescue / -- COMMAND")
        .stderr_has("newroot enter DIR");
}

/// A root with busybox.
fn root(top: &Path) {
    for directory in [
        "bin",
        "dev",
        "etc/kernel",
        "proc",
        "run",
        "sys",
        "usr/sbin",
        "usr/bin",
    ] {
        fs::create_dir_all(top.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", top.join("bin/busybox")).unwrap();
    symlink("busybox", top.join("bin/sh")).unwrap();
    fs::write(top.join("etc/os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    fs::write(top.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    fs::write(top.join("etc/kernel/cmdline"), "root=UUID=3f2a ro\n").unwrap();
}

#[test]
fn what_would_be_done_is_printed() {
    if !need(&[Need::File("/bin/busybox")]) {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    root(top.path());
    let path = top.path().to_str().unwrap();
    let print = |more: &[&str]| {
        let words = [&["-n", "rescue"], more, &[path, "--", "sh"]].concat();
        newroot(words).run().code(0).stdout.clone()
    };
    let text = print(&[]);
    for part in [
        &format!("> {path}/usr/sbin/policy-rc.d"),
        "sh -c 'unshare --mount --propagation slave sh -e /dev/fd/3; exit $?' 3<<'newroot'",
        "'root=UUID=3f2a ro\n'",
        &format!("mount --bind {path}/run/newroot/cmdline {path}/proc/cmdline"),
        "SYSTEMD_IN_CHROOT=1 SYSTEMD_OFFLINE=1",
        "PATH=/run/newroot/bin:",
        &format!("rm {path}/usr/sbin/policy-rc.d\n"),
    ] {
        assert!(text.contains(part), "{part:?}\n{text}");
    }
    assert!(!text.contains("remount,bind,ro /usr"), "{text}");
    let text = print(&["--read-only"]);
    assert!(text.contains(&format!("mount -o remount,bind,ro {path}\n")));
    assert!(!text.contains("/usr/sbin/policy-rc.d"), "{text}");
    assert_eq!(
        fs::read_dir(top.path().join("usr/sbin")).unwrap().count(),
        0
    );
}
