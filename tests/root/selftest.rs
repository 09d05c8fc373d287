//! The harness tested: what it must notice, it notices.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fixture;
use crate::holder::Holder;
use crate::leak::Inside;
use crate::need::Need;
use crate::run::newroot;
use crate::snapshot::Snapshot;
use crate::strace;
use crate::tmux::Tmux;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let short = Duration::from_secs(20);
    vec![
        Trial::new(
            "harness::the_sandbox_is_private",
            &[],
            the_sandbox_is_private,
        )
        .timeout(short),
        Trial::new("harness::leaks_are_seen", &[], leaks_are_seen).timeout(short),
        Trial::new(
            "harness::a_snapshot_sees_changes",
            &[],
            a_snapshot_sees_changes,
        ),
        Trial::new(
            "harness::nobody_can_run_newroot",
            &[],
            nobody_can_run_newroot,
        ),
        Trial::new("harness::a_run_is_as_asked_for", &[], a_run_is_as_asked_for),
        Trial::new(
            "harness::a_missing_need_is_told",
            &[],
            a_missing_need_is_told,
        ),
        Trial::new(
            "harness::strace",
            &[Need::Command("strace")],
            strace_sees_and_fails,
        ),
        Trial::new(
            "harness::tmux",
            &[Need::Command("tmux")],
            tmux_is_a_terminal,
        ),
        Trial::new("harness::roots", &[Need::Command("busybox")], roots_run),
    ]
}

fn the_sandbox_is_private() {
    assert_eq!(fs::read_dir("/tmp").unwrap().count(), 0);
    assert_eq!(fs::read_dir("/mnt").unwrap().count(), 0);
    assert!(!Path::new("/run/newroot").try_exists().unwrap());
    assert_eq!(
        fs::read_link("/proc/self").unwrap(),
        Path::new(&std::process::id().to_string())
    );
}

fn leaks_are_seen() {
    let top = tempfile::tempdir().unwrap();
    let before = Inside::now();
    let holder = Holder::in_directory(top.path());
    let leaked = before.leaked(Duration::ZERO);
    let name = format!("process {} sleep 1000 ", holder.pid());
    assert!(leaked.contains(&name), "{leaked:?}");
    drop(holder);
    mount("tmpfs", top.path());
    let leaked = before.leaked(Duration::ZERO);
    assert!(
        leaked.len() == 1 && leaked[0].starts_with("mount "),
        "{leaked:?}"
    );
    Command::new("umount").arg(top.path()).status().unwrap();
    assert!(before.leaked(Duration::ZERO).is_empty());
}

fn mount(kind: &str, target: &Path) {
    let status = Command::new("mount")
        .args(["-t", kind, kind])
        .arg(target)
        .status()
        .unwrap();
    assert!(status.success());
}

fn a_snapshot_sees_changes() {
    let top = tempfile::tempdir().unwrap();
    let top = top.path();
    fixture::bare_root(top);
    symlink("a", top.join("link")).unwrap();
    fs::hard_link(top.join("etc/passwd"), top.join("etc/passwd-")).unwrap();
    let before = Snapshot::of(top);
    assert!(before.has("etc/passwd") && !before.has("etc/shadow"));
    before.assert_same(&Snapshot::of(top));
    let changes: [fn(&Path); 4] = [
        |top| fs::write(top.join("new"), "").unwrap(),
        |top| fs::set_permissions(top, fs::Permissions::from_mode(0o700)).unwrap(),
        |top| fs::write(top.join("etc/group"), "other").unwrap(),
        |top| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(top, "user.a", b"b", flags).unwrap();
        },
    ];
    for change in changes {
        let before = Snapshot::of(top);
        change(top);
        assert_ne!(before, Snapshot::of(top));
    }
}

fn nobody_can_run_newroot() {
    strace::as_nobody(newroot(["--version"]))
        .run()
        .code(0)
        .stdout_has("newroot ");
    let id = newroot(["-u"]).program("/usr/bin/id");
    strace::as_nobody(id).run().stdout_is("65534\n");
}

fn strace_sees_and_fails() {
    let log = Path::new("/tmp/log");
    let cat = || newroot(["/etc/passwd"]).program("/bin/cat");
    strace::traced(cat(), "openat", log).run().code(0);
    assert!(fs::read_to_string(log).unwrap().contains("/etc/passwd"));
    fs::remove_file(log).unwrap();
    strace::with_fault(cat(), "fadvise64", "EIO", 1)
        .run()
        .code(0);
    strace::with_fault(cat(), "read", "EIO", 1).run().code(127);
}

fn tmux_is_a_terminal() {
    let tmux = Tmux::start();
    tmux.line("stty size");
    tmux.wait_for("24 80");
    tmux.resize(100, 30);
    tmux.line("sleep 1000");
    tmux.keys(&["C-z"]);
    tmux.wait_for("Stopped");
    tmux.line("kill %1; stty size");
    tmux.wait_for("30 100");
    tmux.wait_for_last_line("outer$");
    assert!(tmux.screen().contains("stty size"));
}

fn roots_run() {
    let top = tempfile::tempdir().unwrap();
    let (small, large) = (top.path().join("small"), top.path().join("large"));
    fixture::busybox_root(&small);
    fixture::glibc_root(&large, &["bash", "ls"]);
    for (root, shell) in [(small, "/bin/sh"), (large, "/bin/bash")] {
        let run = newroot(["-c", "ls /"])
            .program(shell)
            .env("PATH", "/bin:/usr/sbin");
        run.through(["chroot", root.to_str().unwrap()])
            .run()
            .code(0)
            .stdout_has("etc\n");
    }
}

fn a_run_is_as_asked_for() {
    newroot(["-c", "cat; pwd; echo no >&2; kill -9 $$"])
        .program("/bin/sh")
        .stdin("in\n")
        .cwd("/usr")
        .timeout(Duration::from_secs(5))
        .run()
        .code(137)
        .stdout_is("in\n/usr\n")
        .stderr_has("no");
}

fn a_missing_need_is_told() {
    let absent = [
        Need::Fs("nosuchfs"),
        Need::Command("no-such"),
        Need::File("/no/such"),
    ];
    for need in absent {
        assert!(need.missing().is_some(), "{need}");
    }
    assert_eq!(Need::Root.missing(), None);
    for need in [Need::Loop, Need::UserNs] {
        eprintln!("{need}: {:?}", need.missing());
    }
}
