//! `newroot setup apparmor`, in a root of its own with a parser that only says what it got.

use std::path::Path;

use super::{enter, executable, root};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::new(
        "enter::setup_apparmor",
        &[Need::Command("busybox")],
        apparmor,
    )]
}

fn apparmor() {
    let root = root();
    let program = root.join("bin/newroot");
    std::fs::copy(std::env::var_os("NEWROOT_BIN").unwrap(), &program).unwrap();
    let setup = || enter(&["/mnt/r", "newroot", "setup", "apparmor"]).run();
    // No AppArmor: nothing to set up.
    setup().code(125).stderr_has("/etc/apparmor.d");
    std::fs::create_dir_all(root.join("etc/apparmor.d/abi")).unwrap();
    // One that has no rule for user namespaces: the profile would only break its start.
    setup().code(125).stderr_has("older than 4.0");
    assert!(!root.join("etc/apparmor.d/newroot").try_exists().unwrap());
    super::write(root.join("etc/apparmor.d/abi/4.0"), "");
    // No parser: the package is named.
    setup().code(125).stderr_has("package apparmor");
    std::fs::create_dir_all(root.join("sbin")).unwrap();
    executable(
        root.join("sbin/apparmor_parser"),
        b"#!/bin/sh\necho \"$@\" > /tmp/argv; cat \"$2\" > /tmp/profile\n",
    );
    setup()
        .code(0)
        .stderr_has("/bin/newroot may make user namespaces now");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(read("tmp/argv"), "-r /etc/apparmor.d/newroot\n");
    let profile = read("tmp/profile");
    assert_eq!(profile, read("etc/apparmor.d/newroot"));
    assert!(
        profile.contains("@{newroot_exec} = \"/bin/newroot\"\n"),
        "{profile}"
    );
    // The parser's complaint is passed on.
    executable(
        root.join("sbin/apparmor_parser"),
        b"#!/bin/sh\necho syntax error >&2; exit 1\n",
    );
    setup().code(125).stderr_has("syntax error");
    // A program that others may write is not allowed anything.
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    setup().code(125).stderr_has("can be replaced by others");
    // Without doing anything: both commands, and nobody has to be root.
    let dry = newroot(["-n", "setup", "apparmor"]).run();
    dry.code(0).stdout_has("> /etc/apparmor.d/newroot");
    assert!(
        dry.stdout
            .ends_with("\napparmor_parser -r /etc/apparmor.d/newroot\n"),
        "{}",
        dry.stdout
    );
    assert!(!Path::new("/etc/apparmor.d/newroot").try_exists().unwrap());
}
