//! `-n` prints what is done, as shell commands that do the same.

use std::path::Path;
use std::process::Command;

use super::enter;
use crate::fixture;
use crate::need::Need;
use crate::run::newroot;
use crate::strace::as_nobody;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Command("busybox"),
        Need::Command("unshare"),
        Need::Command("mount"),
    ];
    vec![
        Trial::new("enter::the_printed_script_does_the_same", needs, same),
        Trial::new(
            "enter::the_printed_script_of_a_user",
            &[Need::Command("busybox"), Need::UserNs],
            same_as_user,
        ),
        Trial::new("enter::verbose_shows_the_same_operations", needs, verbose),
        Trial::new("enter::a_dry_run_does_nothing", needs, dry),
    ]
}

/// A root with the programs that the shell form of a pivot needs.
fn root() -> &'static str {
    let root = Path::new("/mnt/s p");
    fixture::busybox_root(root);
    for name in ["env", "umount", "setpriv", "sort", "sed"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    super::write(root.join("etc/resolv.conf"), "nameserver 192.0.2.1\n");
    "/mnt/s p"
}

/// What is mounted where, with which options, as the program sees it.
const LOOK: &str = "cut -d' ' -f4-6 /proc/self/mountinfo | sort; echo \"$PWD $HOME\"; ls /dev";

fn same() {
    let root = root();
    std::os::unix::fs::symlink("busybox", "/mnt/s p/bin/cut").unwrap();
    std::os::unix::fs::symlink("busybox", "/mnt/s p/bin/wc").unwrap();
    std::fs::create_dir_all("/mnt/src").unwrap();
    let variants: &[&[&str]] = &[
        &[],
        &["--mode", "chroot"],
        &["--dev", "minimal"],
        &["--bind", "/mnt/src:/tmp:ro"],
        &["--sys-rw", "--workdir", "/etc"],
    ];
    for variant in variants {
        let words = [variant, &[root, "sh", "-c", LOOK][..]].concat();
        let real = enter(&words).run();
        real.code(0);
        let script = newroot([&["-n", "enter"], &words[..]].concat()).run();
        script.code(0).stderr_is("");
        let printed = Command::new("bash")
            .args(["-c", &script.stdout])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&printed.stderr);
        assert!(printed.status.success(), "{}\n{error}", script.stdout);
        let shell = String::from_utf8_lossy(&printed.stdout);
        assert_eq!(real.stdout, shell, "{variant:?}\n{}", script.stdout);
    }
}

/// The same for a user without rights, whose shell form begins with a user namespace.
fn same_as_user() {
    let root = root();
    for name in ["cut", "wc"] {
        std::os::unix::fs::symlink("busybox", format!("{root}/bin/{name}")).unwrap();
    }
    std::fs::set_permissions("/mnt", std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Without sockets and links of the host in between: /sys and /dev come as they are.
    let words = [
        root,
        "sh",
        "-c",
        "cut -d' ' -f4-5 /proc/self/mountinfo | sort; id -u",
    ];
    let real = as_nobody(enter(&words)).run();
    real.code(0);
    let script = as_nobody(newroot([&["-n", "enter"], &words[..]].concat())).run();
    let shell = as_nobody(newroot(["-c", &script.stdout]).program("/bin/bash")).run();
    shell.code(0).stdout_is(&real.stdout);
}

fn verbose() {
    let root = root();
    let dry = newroot(["-n", "enter", root, "ls", "/"]).run();
    let real = newroot(["-v", "enter", root, "ls", "/"]).run();
    real.code(0);
    // The last line of the script ends the here-document.
    let lines = dry.stdout.strip_suffix("newroot\n").unwrap();
    assert_eq!(real.stderr, lines);
}

fn dry() {
    let root = root();
    let before = crate::snapshot::Snapshot::of(Path::new(root));
    let mounts = crate::leak::mounts();
    newroot(["-n", "enter", root]).run().code(0);
    assert_eq!(crate::leak::mounts(), mounts);
    before.assert_same(&crate::snapshot::Snapshot::of(Path::new(root)));
    assert!(super::records().is_empty());
}
