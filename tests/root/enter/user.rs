//! What a user without rights gets: a directory of his own, a user namespace of one id.

use std::os::unix::fs::chown;
use std::path::Path;

use super::enter;
use crate::fixture;
use crate::need::Need;
use crate::run::newroot;
use crate::strace::{as_nobody, with_fault};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox"), Need::UserNs];
    let forbidden = &[Need::Command("busybox"), Need::Command("strace")];
    vec![
        Trial::new("enter::as_an_ordinary_user", needs, ordinary),
        Trial::new(
            "enter::where_user_namespaces_are_forbidden",
            forbidden,
            forbid,
        ),
    ]
}

fn root() {
    let root = Path::new("/mnt/home");
    fixture::busybox_root(root);
    std::os::unix::fs::symlink("busybox", root.join("bin/env")).unwrap();
    super::write(root.join("etc/resolv.conf"), "");
    own(root);
}

fn own(path: &Path) {
    chown(path, Some(65534), Some(65534)).unwrap();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            own(&path);
        }
    }
}

fn ordinary() {
    root();
    let run = |words: &[&str]| as_nobody(enter(words)).run();
    for mode in ["pivot", "chroot"] {
        let sh = |script: &str| run(&["--mode", mode, "/mnt/home", "sh", "-c", script]);
        sh("id -u; cat /proc/1/comm; exit 3")
            .code(3)
            .stdout_is("0\nnewroot\n");
        sh("touch /new /root/new && echo x > /dev/null && ls /sys/kernel > /dev/null").code(0);
        sh("touch /sys/kernel/x").code(1);
    }
    // What root in the namespace makes is the user's outside.
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata("/mnt/home/new").unwrap().uid(), 65534);
    run(&[
        "--dev",
        "minimal",
        "/mnt/home",
        "sh",
        "-c",
        "ls /dev && echo x > /dev/null && touch /dev/shm/x && ls /dev/pts/ptmx",
    ])
    .code(0)
    .stdout_has("urandom");
    run(&["--user", "nobody", "/mnt/home", "id"])
        .code(125)
        .stderr_has("one user in the root");
    // Sessions of a user are his own.
    let mut child = super::started_as(&as_nobody(enter(&[
        "/mnt/home",
        "sh",
        "-c",
        "echo ready; exec sleep 1000",
    ])));
    as_nobody(newroot(["ps"]))
        .run()
        .code(0)
        .stdout_has("/mnt/home");
    newroot(["ps"]).run().code(0).stdout_is("");
    as_nobody(newroot(["exec", "home", "id", "-u"]))
        .run()
        .code(0)
        .stdout_is("0\n");
    as_nobody(newroot(["stop", "home"])).run().code(0);
    assert_eq!(super::code(&mut child), 143);
}

fn forbid() {
    root();
    let output = as_nobody(with_fault(
        enter(&["/mnt/home", "sh"]),
        "unshare",
        "ENOSPC",
        1,
    ))
    .run();
    output
        .code(125)
        .stderr_has("this system forbids user namespaces to newroot")
        .stderr_has("user.max_user_namespaces=")
        .stderr_has("sysctl -w user.max_user_namespaces=15000");
    let output = as_nobody(with_fault(
        enter(&["/mnt/home", "sh"]),
        "unshare",
        "EPERM",
        1,
    ))
    .run();
    output
        .code(125)
        .stderr_has("EPERM")
        .stderr_has("sudo newroot");
    // Masked /proc (a container): the host's is shown, and it is said.
    let output = as_nobody(with_fault(
        enter(&["/mnt/home", "sh", "-c", "ls /proc/self/fd > /dev/null"]),
        "fsmount",
        "EPERM",
        1,
    ))
    .run();
    output.code(0).stderr_has("the root shows the host's /proc");
}
