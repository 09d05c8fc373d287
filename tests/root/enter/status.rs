//! Exit statuses, and `--status`.

use super::{code, enter, executable, root, signal, started};
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::exit_statuses", needs, exit_statuses),
        Trial::new("enter::status_file", needs, status_file),
        Trial::new("enter::status_file_comes_first", needs, status_first),
        Trial::new("enter::text_needs_a_shell", needs, text_without_sh),
    ]
}

fn exit_statuses() {
    let root = root();
    executable(root.join("bin/data"), b"\x00\x01\x02 no program");
    executable(root.join("bin/text"), b"exit 9\n");
    super::write(root.join("bin/plain"), "#!/bin/sh\n");
    let table: &[(&[&str], i32)] = &[
        (&["/mnt/r", "sh", "-c", "exit 0"], 0),
        (&["/mnt/r", "sh", "-c", "exit 7"], 7),
        (&["/mnt/r", "--", "sh", "-c", "exit 7"], 7),
        (&["/mnt/r", "sh", "-c", "exit 255"], 255),
        (&["/mnt/r", "sh", "-c", "kill -9 $$"], 137),
        (&["/mnt/r", "sh", "-c", "kill -15 $$"], 143),
        // As execvp(3): text without #! goes to sh.
        (&["/mnt/r", "text"], 9),
        (&["/mnt/r", "no-such-program"], 127),
        (&["/mnt/r", "/bin/no-such-program"], 127),
        (&["/mnt/r", "/bin"], 126),
        (&["/mnt/r", "/bin/plain"], 126),
        (&["/mnt/none"], 125),
        (&["/mnt/r/bin/busybox"], 125),
        (&["--user", "nosuchuser", "/mnt/r", "sh"], 125),
        (&["--bind", "/none", "/mnt/r", "sh"], 125),
        (&["--bind", "/etc:/tmp:xx", "/mnt/r", "sh"], 2),
        (&["--no-such-flag", "/mnt/r"], 2),
    ];
    for (words, expected) in table {
        enter(words).run().code(*expected);
    }
    // The other name of the verb, and the system's own root.
    crate::run::newroot(["chroot", "/mnt/r", "sh", "-c", "exit 5"])
        .run()
        .code(5);
    enter(&["/", "sh", "-c", "exit 6"]).run().code(6);
    assert!(super::records().is_empty());
}

/// A file that cannot be written stops the run before anything is done.
fn status_first() {
    root();
    let word = ["sh", "-c", "echo started > /tmp/started"];
    let runs: [&[&str]; 2] = [
        &["--bind", "/tmp", "/mnt/r"],
        &["--lent", "--bind", "/tmp", "/mnt/r"],
    ];
    for run in runs {
        for file in ["/none/status", "/tmp"] {
            enter(&[&["--status", file], run, &word].concat())
                .run()
                .code(125)
                .stderr_has(&format!("cannot write {file}"))
                .stderr_has("nothing was changed");
            assert!(!std::path::Path::new("/tmp/started").exists());
            assert!(super::records().is_empty());
        }
    }
    // A named pipe's reader gets it at the end.
    super::super::jail::command(&["mkfifo", "/mnt/pipe"]);
    let reader = std::process::Command::new("cat")
        .arg("/mnt/pipe")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    enter(&["--status", "/mnt/pipe", "/mnt/r", "sh", "-c", "exit 4"])
        .run()
        .code(4);
    let read = reader.wait_with_output().unwrap().stdout;
    assert!(read.starts_with(b"{\"by\":\"command\""), "{read:?}");
}

/// Text without `#!` goes to the root's sh, where there is one.
fn text_without_sh() {
    let root = root();
    executable(root.join("bin/text"), b"exit 9\n");
    std::fs::remove_file(root.join("bin/sh")).unwrap();
    for dry in [&[][..], &["-n"]] {
        enter(&[dry, &["/mnt/r", "text"]].concat())
            .run()
            .code(126)
            .stderr_has("text without a #! line, and there is no /bin/sh to run it");
    }
}

fn status_file() {
    root();
    let read = || {
        let text = std::fs::read_to_string("/mnt/status").unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let status = |words: &[&str], expected| {
        enter(&[&["--status", "/mnt/status", "/mnt/r"], words].concat())
            .run()
            .code(expected);
        read()
    };
    let exited = status(&["sh", "-c", "exit 3"], 3);
    assert_eq!(exited["exited"], 3);
    assert_eq!(exited["by"], "command");
    assert_eq!(exited["cleanup"], "complete");
    let killed = status(&["sh", "-c", "kill -9 $$"], 137);
    assert_eq!(killed["signaled"], 9);
    assert_eq!(killed["by"], "command");
    // What did not start: the same file says why.
    let failed = status(&["no-such-program"], 127);
    assert_eq!(failed["exit"], 127);
    let why = failed["failed"].as_str().unwrap();
    assert!(why.contains("no-such-program"), "{why}");
    enter(&["--status", "/mnt/status", "/mnt/none"])
        .run()
        .code(125);
    assert_eq!(read()["exit"], 125);
    std::fs::remove_file("/mnt/status").unwrap();
    enter(&["-n", "--status", "/mnt/status", "/mnt/none"])
        .run()
        .code(125);
    assert!(!std::path::Path::new("/mnt/status").exists());
    // The same number, but it was newroot that was told to end it.
    let script = "trap 'exit 143' TERM; echo ready; while :; do sleep 0.1; done";
    let mut child = started(&["--status", "/mnt/status", "/mnt/r", "sh", "-c", script]);
    signal(&child, rustix::process::Signal::TERM);
    assert_eq!(code(&mut child), 143);
    assert_eq!(read()["exited"], 143);
    assert_eq!(read()["by"]["newroot"], "SIGTERM");
}
