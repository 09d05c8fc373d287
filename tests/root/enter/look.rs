//! Why a program that is there does not start.

use std::path::Path;

use super::{enter, executable, root};
use crate::fixture;
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::a_missing_loader_is_named", &[], loader),
        Trial::new("enter::missing_libraries_are_named", &[], libraries),
        Trial::new("enter::a_program_that_is_cut_off_is_named", &[], cut_off),
        Trial::new(
            "enter::a_missing_interpreter_is_named",
            busybox,
            interpreter,
        ),
        Trial::new("enter::another_machine_is_named", busybox, machine),
        Trial::new("enter::a_usr_that_is_not_mounted_is_named", &[], usr),
        Trial::new("enter::the_next_best_shell_is_taken", busybox, shells),
        Trial::new("enter::names_are_escaped", busybox, names),
    ]
}

fn loader() {
    let root = Path::new("/mnt/g");
    fixture::glibc_root(root, &["bash"]);
    std::fs::rename(root.join("lib64"), root.join("gone")).unwrap();
    std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/bash\n").unwrap();
    let output = enter(&["/mnt/g"]).run();
    output
        .code(127)
        .stderr_has("newroot: cannot start /bin/bash in /mnt/g: its loader is missing\n")
        .stderr_has("/bin/bash asks for /lib64/ld-linux-x86-64.so.2; /mnt/g/lib64 does not exist")
        .stderr_has("(the kernel calls this \"No such file or directory\")")
        .stderr_has("newroot closure --root /mnt/g /bin/bash");
}

fn libraries() {
    let root = Path::new("/mnt/g");
    fixture::glibc_root(root, &["bash"]);
    let library = std::fs::read_dir(root.join("lib/x86_64-linux-gnu"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("libtinfo"))
        .unwrap();
    std::fs::remove_file(library).unwrap();
    enter(&["/mnt/g", "bash"])
        .run()
        .code(127)
        .stderr_has("libraries that it needs are missing")
        .stderr_has("libtinfo.so.6, which /bin/bash needs");
}

fn cut_off() {
    let root = Path::new("/mnt/g");
    fixture::glibc_root(root, &["bash"]);
    let bash = std::fs::OpenOptions::new()
        .write(true)
        .open(root.join("bin/bash"));
    bash.unwrap().set_len(100_000).unwrap();
    enter(&["/mnt/g", "bash"])
        .run()
        .code(126)
        .stderr_has("cannot start /bin/bash in /mnt/g: a file that it loads is cut off")
        .stderr_has("/bin/bash: the file is cut off: it has 100000 bytes");
}

fn interpreter() {
    let root = root();
    executable(root.join("bin/script"), b"#!/usr/bin/python3 -u\n");
    enter(&["/mnt/r", "script"])
        .run()
        .code(127)
        .stderr_has("asks for /usr/bin/python3");
    executable(root.join("bin/script"), b"#!/bin/env ruby\n");
    std::os::unix::fs::symlink("busybox", root.join("bin/env")).unwrap();
    enter(&["/mnt/r", "script"])
        .run()
        .code(127)
        .stderr_has("ruby");
}

fn machine() {
    let root = root();
    let mut bytes = std::fs::read(root.join("bin/busybox")).unwrap();
    // e_machine: aarch64.
    bytes[18] = 183;
    executable(root.join("bin/foreign"), &bytes);
    enter(&["/mnt/r", "foreign"])
        .run()
        .code(126)
        .stderr_has("it is a program for another machine")
        .stderr_has("arm64")
        .stderr_has("qemu-user-static")
        .stderr_has("\"Exec format error\"");
}

fn usr() {
    let root = Path::new("/mnt/u");
    for directory in ["usr", "etc", "proc", "sys", "dev", "run"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
    super::write(
        root.join("etc/fstab"),
        "# <fs>\nUUID=77 / ext4 defaults 0 1\nUUID=1234 /usr ext4 defaults 0 2\n",
    );
    for words in [&["/mnt/u"][..], &["/mnt/u", "/bin/bash"][..]] {
        enter(words)
            .run()
            .code(127)
            .stderr_has("/mnt/u/usr is empty: it is not mounted")
            .stderr_has("mount UUID=1234 /mnt/u/usr");
    }
}

fn shells() {
    let root = root();
    super::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/zsh\n");
    enter(&["/mnt/r"])
        .stdin("echo $0\n")
        .run()
        .code(0)
        .stdout_is("/bin/sh\n");
    std::fs::remove_file(root.join("bin/sh")).unwrap();
    enter(&["/mnt/r"])
        .stdin("echo alive\n")
        .run()
        .code(0)
        .stdout_is("alive\n");
    std::fs::remove_file(root.join("bin/busybox")).unwrap();
    enter(&["/mnt/r"])
        .run()
        .code(127)
        .stderr_has("looked for /bin/zsh");
}

fn names() {
    let root = root();
    let name = "a\x1b[31m;touch PWNED";
    enter(&["/mnt/r", name])
        .run()
        .code(127)
        .stderr_has("a\\x1b[31m;touch PWNED");
    executable(root.join("bin").join(name), b"#!/bin/none\n");
    let output = enter(&["/mnt/r", name]).run();
    output.code(127);
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
}
