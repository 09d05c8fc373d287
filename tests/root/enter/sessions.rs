//! `ps`, `exec`, `stop`, `cleanup`, and newroot killed at every step.

use super::{code, enter, root, started};
use crate::need::Need;
use crate::run::newroot;
use crate::strace::signalled;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = Need::Command("busybox");
    vec![
        Trial::new("enter::sessions_are_listed_and_joined", &[busybox], joined),
        Trial::new("enter::an_unknown_session", &[busybox], unknown),
        Trial::new(
            "enter::killed_at_every_step",
            &[busybox, Need::Command("strace")],
            killed,
        ),
        Trial::new("enter::a_wrong_record_is_left_alone", &[], wrong),
    ]
}

fn joined() {
    for (mode, name) in [("pivot", "r"), ("chroot", "r")] {
        let root = root();
        for link in ["bin/env", "etc/new"] {
            std::os::unix::fs::symlink("busybox", root.join(link)).ok();
        }
        let script = "touch /run/marker; echo ready; exec sleep 1000";
        let mut child = started(&["--mode", mode, "/mnt/r", "sh", "-c", script]);
        newroot(["ps"])
            .run()
            .code(0)
            .stdout_has("SESSION")
            .stdout_has("/mnt/r")
            .stdout_has(&child.id().to_string());
        let exec = |words: &[&str]| newroot([&["exec", name], words].concat()).run();
        exec(&["ls", "/run"]).code(0).stdout_is("lock\nmarker\n");
        exec(&["sh", "-c", "cat /proc/1/comm; exit 9"])
            .code(9)
            .stdout_is("newroot\n");
        exec(&["sh", "-c", "kill -9 $$"]).code(137);
        exec(&[
            "sh",
            "-c",
            "readlink /proc/self/root; pwd; ls /proc/self/fd",
        ])
        .code(0);
        exec(&["no-such"]).code(127);
        exec(&["/bin"]).code(126);
        newroot(["exec", "--user", "nobody", name, "id", "-u"])
            .run()
            .code(0)
            .stdout_is("65534\n");
        // Inherited descriptors do not get in there either.
        newroot(["exec", name, "ls", "/proc/self/fd"])
            .through(["bash", "-c", "exec 9</; exec \"$@\"", "bash"])
            .run()
            .code(0)
            .stdout_is("0\n1\n2\n3\n");
        // A visitor does not end the session; the end of the session ends the visitor.
        let mut visitor = super::started_as(&newroot([
            "exec",
            name,
            "sh",
            "-c",
            "echo ready; exec sleep 1000",
        ]));
        newroot(["-n", "stop", name])
            .run()
            .code(0)
            .stdout_is(&format!("kill -TERM {}\n", child.id()));
        // What -n prints does the same, and -n itself does nothing.
        let dry = newroot([
            "-n",
            "exec",
            name,
            "sh",
            "-c",
            "touch /run/dry; cat /run/marker",
        ]);
        let dry = dry.run();
        dry.code(0).stdout_has("chroot /proc/");
        exec(&["ls", "/run"]).code(0).stdout_is("lock\nmarker\n");
        super::super::jail::command(&["bash", "-c", &dry.stdout]);
        exec(&["ls", "/run"])
            .code(0)
            .stdout_is("dry\nlock\nmarker\n");
        newroot(["stop", name])
            .run()
            .code(0)
            .stderr_has("nothing is left");
        assert_eq!(code(&mut child), 143);
        assert_eq!(code(&mut visitor), 137);
        newroot(["ps"]).run().code(0).stdout_is("");
        assert!(super::records().is_empty());
        std::fs::remove_dir_all("/mnt/r").unwrap();
    }
}

fn unknown() {
    for verb in [&["exec", "nope", "ls"][..], &["stop", "nope"][..]] {
        newroot(verb)
            .run()
            .code(125)
            .stderr_has("no session is running")
            .stderr_has("newroot enter ROOT");
    }
    let none = "no session is running. To start one: newroot enter ROOT\n";
    newroot(["ps"]).run().code(0).stdout_is("").stderr_is(none);
    newroot(["ps", "-q"]).run().code(0).stderr_is("");
    newroot(["ps", "--json"])
        .run()
        .code(0)
        .stdout_is("[]\n")
        .stderr_is("");
    newroot(["cleanup"])
        .run()
        .code(0)
        .stderr_has("nothing to clean up");
    // Who only looks makes nothing.
    assert!(!std::path::Path::new("/run/newroot").exists());
    root();
    let mut one = started(&["/mnt/r", "sh", "-c", "echo ready; exec sleep 1000"]);
    let mut two = started(&["/mnt/r", "sh", "-c", "echo ready; exec sleep 1000"]);
    newroot(["stop", "r"]).run().code(125).stderr_has("several");
    // A variable that was not set names no session, and a slip finds the nearest.
    for (name, words) in [
        ("", "there is none"),
        ("nope", "newroot ps"),
        ("rr", "nearest"),
        ("/mnt/r", "in that root"),
    ] {
        for verb in [&["stop", name][..], &["exec", name, "ls"][..]] {
            newroot(verb).run().code(125).stderr_has(words);
        }
    }
    // Cleanup never touches the living.
    newroot(["cleanup"]).run().code(0);
    assert!(one.try_wait().unwrap().is_none());
    for child in [&mut one, &mut two] {
        super::signal(child, rustix::process::Signal::TERM);
        assert_eq!(code(child), 143);
    }
}

/// SIGKILL at the n-th call of each kind: before the record, between record and deed, between
/// deed and done, and so on to the end.
fn killed() {
    root();
    let mut kills = 0;
    for call in [
        "renameat",
        "unlinkat",
        "unshare",
        "clone3",
        "move_mount",
        "pivot_root",
    ] {
        for when in 1..=4 {
            let run = enter(&["/mnt/r", "sh", "-c", "exit 0"]);
            let output = signalled(run, call, "KILL", when).run();
            kills += usize::from(output.stdout.is_empty() && !super::records().is_empty());
            newroot(["cleanup"]).run().code(0);
            assert!(super::records().is_empty(), "{call} {when}");
        }
    }
    assert!(kills > 3, "the faults did not hit: {kills}");
}

fn wrong() {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir("/run/newroot").unwrap();
    std::fs::set_permissions("/run/newroot", std::fs::Permissions::from_mode(0o700)).unwrap();
    super::write("/run/newroot/x-1234.json", "{\"version\": 99}");
    newroot(["ps"]).run().code(0).stderr_has("x-1234.json");
    newroot(["cleanup"]).run().code(0).stderr_has("x-1234.json");
    assert_eq!(super::records().len(), 1);
    std::fs::remove_file("/run/newroot/x-1234.json").unwrap();
    // A directory that others may write in is not trusted.
    std::fs::set_permissions("/run/newroot", std::fs::Permissions::from_mode(0o777)).unwrap();
    newroot(["ps"])
        .run()
        .code(125)
        .stderr_has("not a private directory");
}
