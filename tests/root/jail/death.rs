//! Killed in the middle, told to stop, and failing calls.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use super::{is_there, jail, names};
use crate::need::Need;
use crate::run::{Run, newroot};
use crate::strace::{signalled, with_fault};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let strace = [Need::Command("strace")];
    vec![
        Trial::new(
            "jail::killed_anywhere_the_next_build_works",
            &strace,
            killed,
        ),
        Trial::new("jail::killed_and_cleaned_up", &strace, cleaned_up),
        Trial::new(
            "jail::killed_in_a_mount_point",
            &strace,
            killed_in_a_mount_point,
        ),
        Trial::new("jail::killed_in_an_update", &strace, killed_in_an_update),
        Trial::new(
            "jail::half_a_file_is_private",
            &strace,
            half_a_file_is_private,
        ),
        Trial::new(
            "jail::killed_in_an_add_nothing_is_unknown",
            &strace,
            killed_in_an_add,
        ),
        Trial::new("jail::told_to_stop_it_cleans_up", &strace, told_to_stop),
        Trial::new(
            "jail::any_failing_call_leaves_nothing",
            &strace,
            failing_calls,
        ),
        Trial::new(
            "jail::a_vanishing_source_is_named",
            &strace,
            vanishing_source,
        ),
    ]
}

fn build(dir: &str) -> Run {
    jail(&["build", dir, "/tmp/from"])
}

/// Files that are not made with the owner and mode they end with: each copy is given both.
fn source() {
    fs::create_dir_all("/tmp/from/sub").unwrap();
    for name in ["a", "b", "sub/c"] {
        let file = format!("/tmp/from/{name}");
        fs::write(&file, name).unwrap();
        chown(&file, Some(12), Some(34)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    }
}

/// Ends `newroot cleanup` or the next build with nothing left but the jail.
fn nothing_left(in_tmp: &[&str]) {
    assert_eq!(names("/tmp"), in_tmp);
}

/// `cleanup` leaves no record of a dead session.
fn cleaned() {
    newroot(["cleanup"]).run().code(0);
    // Killed before there was a place for records there is none: cleanup makes nothing.
    if is_there("/run/newroot") {
        assert_eq!(names("/run/newroot"), [""; 0]);
    }
}

fn killed() {
    source();
    let places = [
        ("mkdirat", 1),
        ("mkdirat", 2),
        ("mkdirat", 5),
        ("symlinkat", 1),
        ("fchmod", 2),
        ("utimensat", 3),
        ("mknodat", 2),
        ("renameat2", 1),
        ("flock", 2),
    ];
    for (call, when) in places {
        signalled(build("j"), call, "SIGKILL", when).run().code(137);
        assert!(!is_there("/tmp/j"), "{call} {when}");
        build("j").run().code(0);
        jail(&["check", "j"]).run().code(0);
        nothing_left(&["from", "j"]);
        assert_eq!(names("/run/newroot"), [""; 0], "{call} {when}");
        jail(&["remove", "j"]).run().code(0);
    }
}

/// `cleanup` does the same without another build.
fn cleaned_up() {
    source();
    fs::create_dir("/mnt/j").unwrap();
    super::command(&["mount", "-t", "tmpfs", "tmpfs", "/mnt/j"]);
    for dir in ["/tmp/j", "/mnt/j"] {
        for (call, when) in [
            ("mkdirat", 1),
            ("mkdirat", 4),
            ("renameat2", 1),
            ("renameat2", 3),
        ] {
            let ended = signalled(build(dir), call, "SIGKILL", when).run();
            if dir == "/tmp/j" && when == 3 {
                // One rename is all it takes there.
                ended.code(0);
                jail(&["remove", dir]).run().code(0);
                continue;
            }
            ended.code(137);
            cleaned();
            nothing_left(&["from"]);
            assert_eq!(names("/mnt/j"), [""; 0], "{dir} {call} {when}");
        }
    }
    super::command(&["umount", "/mnt/j"]);
}

fn killed_in_a_mount_point() {
    source();
    fs::create_dir("/mnt/j").unwrap();
    super::command(&["mount", "-t", "tmpfs", "tmpfs", "/mnt/j"]);
    for when in [1, 3, 6] {
        signalled(build("/mnt/j"), "renameat2", "SIGKILL", when)
            .run()
            .code(137);
        assert!(!is_there("/mnt/j/.newroot/manifest.json"));
        build("/mnt/j").run().code(0);
        jail(&["check", "/mnt/j"]).run().code(0);
        jail(&["remove", "/mnt/j"]).run().code(0);
        assert_eq!(names("/mnt/j"), [""; 0], "{when}");
        assert_eq!(names("/run/newroot"), [""; 0], "{when}");
    }
    super::command(&["umount", "/mnt/j"]);
}

/// What lies in a directory of his own is nobody else's to read, also while it is copied and when
/// that broke off.
fn half_a_file_is_private() {
    const LENGTH: usize = 2 << 20;
    let private = "/tmp/from/private";
    let write = |name: &str, byte| {
        fs::write(format!("{private}/{name}"), vec![byte; LENGTH]).unwrap();
    };
    fs::create_dir_all(private).unwrap();
    fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
    write("big", 1);
    build("j").run().code(0);
    // Each piece is 128 KiB, and the record of the change is written first.
    let killed = |verb: &[&str]| {
        signalled(jail(verb), "write", "SIGKILL", 8).run().code(137);
    };
    let is_private = |path: &str| {
        let meta = fs::metadata(path).unwrap();
        assert!((1..LENGTH as u64).contains(&meta.len()), "{path}: {meta:?}");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o600, "{path}");
    };
    write("new", 2);
    killed(&["add", "j", "/tmp/from/private/new"]);
    is_private("/tmp/j/tmp/from/private/new");
    jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_is("half     /tmp/from/private/new\n");
    write("big", 3);
    jail(&["add", "j", "/tmp/from/private/new"]).run().code(0);
    write("big", 4);
    killed(&["update", "j"]);
    let beside = names("/tmp/j/.newroot");
    let new = beside.iter().find(|name| name.starts_with("new-")).unwrap();
    is_private(&format!("/tmp/j/.newroot/{new}"));
    jail(&["update", "j"]).run().code(0);
    jail(&["check", "j"]).run().code(0).stdout_is("");
}

fn killed_in_an_update() {
    source();
    build("j").run().code(0);
    for name in ["a", "b", "sub/c"] {
        fs::write(format!("/tmp/from/{name}"), "changed").unwrap();
    }
    for when in [1, 2, 3] {
        signalled(jail(&["update", "j"]), "renameat", "SIGKILL", when)
            .run()
            .code(137);
    }
    jail(&["update", "j"]).run().code(0);
    jail(&["check", "j"]).run().code(0).stdout_is("");
    assert_eq!(names("/tmp/j/.newroot"), ["manifest.json"]);
    assert_eq!(
        fs::read_to_string("/tmp/j/tmp/from/sub/c").unwrap(),
        "changed"
    );
}

/// Every path of a jail but its manifest's directory.
fn all_below(top: &str) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(top).min_depth(1).sort_by_file_name();
    let paths = all
        .into_iter()
        .map(|entry| entry.unwrap().path().to_owned());
    paths
        .filter(|path| !path.starts_with("/tmp/j/.newroot"))
        .collect()
}

/// Killed at each call that changes something: what is there is known, the same add completes
/// it, an update takes it away, and so does a removal.
fn killed_in_an_add() {
    source();
    for (name, mode) in [("a", 0o644), ("b", 0o755), ("sub/c", 0o444)] {
        let file = format!("/tmp/from/{name}");
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write("/tmp/first", "first").unwrap();
    let built = || jail(&["build", "j", "/tmp/first"]).run();
    built().code(0);
    let before = all_below("/tmp/j");
    for call in ["write", "renameat", "mkdirat"] {
        for when in 1.. {
            let add = || jail(&["add", "j", "/tmp/from"]);
            signalled(add(), call, "SIGKILL", when).run();
            if !is_there("/tmp/j/.newroot/pending.json") && all_below("/tmp/j") != before {
                // It came to its end: this call was made less often, or for the report.
                jail(&["check", "j"]).run().code(0).stdout_is("");
                jail(&["remove", "j"]).run().code(0);
                built().code(0);
                break;
            }
            let check = jail(&["check", "j"]).run();
            assert!(!check.stdout.contains("added"), "{call} {when}: {check:?}");
            let then = if when % 2 == 0 {
                add()
            } else {
                jail(&["update", "j"])
            };
            then.run().code(0);
            jail(&["check", "j"]).run().code(0).stdout_is("");
            assert_eq!(names("/tmp/j/.newroot"), ["manifest.json"]);
            if when % 2 == 0 {
                let copied = fs::read_to_string("/tmp/j/tmp/from/sub/c").unwrap();
                assert_eq!(copied, "sub/c");
                signalled(jail(&["update", "j"]), call, "SIGKILL", 1).run();
                jail(&["remove", "j"])
                    .run()
                    .code(0)
                    .stderr_is("j is gone\n");
                built().code(0);
            }
            assert_eq!(all_below("/tmp/j"), before, "{call} {when}");
        }
    }
    // What somebody put where a file was about to be is theirs.
    signalled(jail(&["add", "j", "/tmp/from"]), "fchmod", "SIGKILL", 3).run();
    fs::write("/tmp/j/tmp/from/a", "somebody's").unwrap();
    jail(&["update", "j"]).run().code(0);
    assert_eq!(
        fs::read_to_string("/tmp/j/tmp/from/a").unwrap(),
        "somebody's"
    );
}

fn told_to_stop() {
    source();
    for (signal, code) in [("SIGINT", 130), ("SIGTERM", 143)] {
        signalled(build("j"), "symlinkat", signal, 1)
            .run()
            .code(code)
            .stderr_has(&format!("interrupted by {signal}"))
            .stderr_has("nothing was left behind");
        nothing_left(&["from"]);
        assert_eq!(names("/run/newroot"), [""; 0]);
    }
    // Copying in worker processes, too.
    for number in 0..6_u8 {
        fs::write(format!("/tmp/from/{number}"), vec![number; 8 << 20]).unwrap();
    }
    signalled(build("j"), "pipe2", "SIGTERM", 1).run().code(143);
    nothing_left(&["from"]);
}

fn failing_calls() {
    source();
    let calls = [
        ("mkdirat", "ENOSPC", 2),
        ("symlinkat", "EIO", 1),
        ("fchmod", "EIO", 1),
        ("utimensat", "EIO", 2),
        ("renameat2", "EBUSY", 1),
        ("mknodat", "EIO", 1),
        ("fchown", "EIO", 1),
        ("flistxattr", "EIO", 1),
    ];
    for (call, errno, when) in calls {
        with_fault(build("j"), call, errno, when).run().code(125);
        nothing_left(&["from"]);
        assert_eq!(names("/run/newroot"), [""; 0], "{call}");
    }
    // Where a call is only not possible, there is another way.
    with_fault(build("j"), "renameat2", "EINVAL", 1)
        .run()
        .code(0);
    with_fault(build("k"), "mknodat", "EPERM", 1).run().code(0);
    assert!(!is_there("/tmp/k/dev/full"));
    jail(&["check", "k"]).run().code(0);
    // A device that no /dev of newroot's has is named, with what helps.
    fs::write(
        "/tmp/p.toml",
        "programs = ['bash']\ndevices = ['/dev/kmsg']\n",
    )
    .unwrap();
    with_fault(
        jail(&["build", "-p", "./p.toml", "l"]),
        "mknodat",
        "EPERM",
        2,
    )
    .run()
    .code(0)
    .stderr_has("/dev/kmsg: that /dev does not have it; newroot enter --dev host has");
    jail(&["check", "l"]).run().code(0);
}

fn vanishing_source() {
    source();
    // The open after all looks: the copy itself.
    let run = with_fault(build("j"), "fchmod", "ENOENT", 1).run();
    run.code(125).stderr_has("it vanished while it was copied");
    nothing_left(&["from"]);
}
