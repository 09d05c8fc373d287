//! Small roots to work on, made from programs of this machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A root with busybox (static) and its usual names: no loader, no library.
pub(crate) fn busybox_root(top: &Path) {
    let busybox = crate::need::find_program("busybox").unwrap();
    bare_root(top);
    copy(&busybox, &top.join("bin/busybox"));
    for name in [
        "sh", "ls", "cat", "id", "mount", "ps", "pwd", "sleep", "stty", "touch",
    ] {
        symlink("busybox", top.join("bin").join(name)).unwrap();
    }
}

/// A root with these programs of the host, their libraries and their loader (as ldd(1) says).
pub(crate) fn glibc_root(top: &Path, programs: &[&str]) {
    bare_root(top);
    for name in programs {
        let program = crate::need::find_program(name).unwrap_or_else(|| panic!("no {name}"));
        copy(&program, &top.join("bin").join(name));
        for library in libraries(&program) {
            copy(&library, &inside(top, &library));
        }
    }
}

/// Directories, passwd and group; nothing that runs.
pub(crate) fn bare_root(top: &Path) {
    for directory in [
        "bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin",
    ] {
        fs::create_dir_all(top.join(directory)).unwrap();
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";
    fs::write(top.join("etc/passwd"), passwd).unwrap();
    fs::write(top.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").unwrap();
}

fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

fn inside(top: &Path, path: &Path) -> PathBuf {
    top.join(path.strip_prefix("/").unwrap())
}

fn copy(source: &Path, target: &Path) {
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    fs::copy(source, target).unwrap();
}
