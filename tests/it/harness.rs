//! The test support tested: a check that cannot fail would be worth nothing.

use std::panic::catch_unwind;
use std::process::Stdio;
use std::time::Duration;

use crate::support::need::find_program;
use crate::support::run::{Output, difference};
use crate::support::{Need, need, newroot};

/// Runs `sh -c SCRIPT` in newroot's place.
fn shell(script: &str) -> Output {
    newroot(["-c", script]).program("/bin/sh").run()
}

#[test]
fn a_run_has_the_environment_input_and_directory_that_were_asked_for() {
    let script = "read line; echo $line $NAME $UNSET; pwd; echo oops >&2; exit 7";
    newroot(["-c", script])
        .program("/bin/sh")
        .env("NAME", "value")
        .stdin("input\n")
        .cwd("/usr")
        .through(["env"])
        .run()
        .code(7)
        .stdout_is("input value\n/usr\n")
        .stdout_has("value")
        .stderr_has("oops")
        .stderr_is("oops\n");
    shell("kill -TERM $$").code(143);
}

#[test]
fn every_check_can_fail() {
    let checks: [fn(&Output); 5] = [
        |output| {
            output.code(1);
        },
        |output| {
            output.stdout_is("a\n");
        },
        |output| {
            output.stdout_has("c");
        },
        |output| {
            output.stderr_is("x");
        },
        |output| {
            output.stderr_has("x");
        },
    ];
    for check in checks {
        let caught = catch_unwind(|| check(&shell("echo b")));
        assert!(caught.is_err());
    }
}

#[test]
fn a_run_that_does_not_end_is_a_failure() {
    let limit = Duration::from_millis(50);
    let caught = catch_unwind(|| {
        newroot(["1000"]).program("/bin/sleep").timeout(limit).run();
    });
    assert!(caught.is_err());
}

#[test]
fn a_spawned_run_can_be_ended() {
    let run = newroot(["1000"]).program("/bin/sleep");
    let mut child = run.spawn(Stdio::null(), Stdio::null(), Stdio::null());
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_difference_names_the_line() {
    assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "@ line 2\n-b\n+x");
}

#[test]
fn a_missing_need_is_told() {
    for need in [
        Need::Fs("nosuchfs"),
        Need::Command("no-such-command"),
        Need::File("/no/such/file"),
    ] {
        assert!(need.missing().is_some(), "{need}");
    }
    assert!(need(&[Need::Command("sh"), Need::File("/proc/self")]));
    assert!(find_program("sh").is_some());
    for need in [Need::Root, Need::UserNs, Need::Loop] {
        eprintln!("{need}: {:?}", need.missing());
    }
}
