//! The command ends by itself at the very moment that newroot is told to stop.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{child_of, code, enter, root, signal, started, started_as};
use crate::leak::Inside;
use crate::need::Need;
use crate::run::{Run, newroot};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::told_as_it_ends_by_itself", needs, as_it_ends),
        Trial::new(
            "enter::the_last_words_of_the_init_are_heard",
            &[needs[0], Need::Command("strace")],
            last_words,
        ),
        Trial::new("enter::told_while_the_rest_ends", needs, with_a_rest),
        Trial::new("enter::a_visit_told_as_it_ends", needs, a_visit),
    ]
}

const STATUS: &str = "/mnt/status";
const STATUS_TO: [&str; 2] = ["--status", STATUS];
/// What the command ends with.
const OWN: i32 = 7;
/// So many moments are tried of each kind.
const MOMENTS: u32 = 80;
/// For a process to be gone after newroot is.
const PATIENCE: Duration = Duration::from_secs(2);

fn begin(run: &Run) -> Child {
    run.spawn(Stdio::null(), Stdio::null(), Stdio::inherit())
}

/// How long it takes where nobody disturbs it.
fn undisturbed(run: &Run) -> Duration {
    let begun = Instant::now();
    assert_eq!(code(&mut begin(run)), OWN);
    begun.elapsed()
}

/// Sends the signal at moments around the command's end, wherever that is on this machine now: a
/// little later when the signal came first, a little earlier when the end did.
fn at_moments(run: &Run, number: Signal) {
    let mut delay = undisturbed(run);
    let mut own = 0;
    for moment in 0..MOMENTS {
        std::fs::write(STATUS, "").unwrap();
        let before = Inside::now();
        let mut child = begin(run);
        std::thread::sleep(delay);
        signal(&child, number);
        let ended = child.wait().unwrap();
        match ended.code() {
            Some(code) => agree(code, number),
            // It had not begun to listen.
            None => assert_eq!(ended.signal(), Some(number.as_raw())),
        }
        // Steps of several sizes, so that it does not go to and fro between the same two moments.
        let step = delay / (10 + 7 * (moment % 8));
        if ended.code() == Some(OWN) {
            own += 1;
            delay -= step;
        } else {
            delay += step;
        }
        assert_eq!(before.leaked(PATIENCE), [""; 0], "{moment}");
    }
    assert!(own > 0 && own < MOMENTS, "no race: {own} of {MOMENTS}");
}

fn status() -> Value {
    let text = std::fs::read_to_string(STATUS).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// The exit status and `--status` say the same, and it is true: the command is not deaf, so
/// nobody had to kill it.
fn agree(code: i32, number: Signal) {
    let status = status();
    let told = 128 + number.as_raw();
    let own = status["exited"] == OWN;
    let by = &status["by"];
    let fits = if code == OWN {
        own && *by == "command"
    } else if status["failed"] == Value::Null {
        let ended = own || status["signaled"] == number.as_raw();
        code == told && ended && by["newroot"].is_string()
    } else {
        code == told && status["exit"] == told
    };
    assert!(fits, "exit status {code}, {status}");
    assert!(
        status["failed"] != Value::Null || status["cleanup"] == "complete",
        "{status}"
    );
}

fn as_it_ends() {
    root();
    let command = ["/mnt/r", "sh", "-c", "sleep 0.01; exit 7"];
    let run = enter(&[&STATUS_TO[..], &command].concat());
    for number in [Signal::TERM, Signal::INT] {
        at_moments(&run, number);
    }
}

/// The order that the init has no time to read any more: strace holds up the supervisor's reads and
/// everybody's end, so that it always comes between the two.
fn last_words() {
    root();
    let script = "echo ready; exit 7";
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "inject=recvfrom:delay_enter=250000",
        "-e",
        "inject=exit_group:delay_enter=1000000",
    ];
    for (number, expected) in [(Signal::USR1, OWN), (Signal::TERM, 143)] {
        let command = ["/mnt/r", "sh", "-c", script];
        let run = enter(&[&STATUS_TO[..], &command].concat()).through(strace);
        let before = Inside::now();
        let mut tracer = started_as(&run);
        let newroot = child_of(tracer.id());
        std::thread::sleep(Duration::from_millis(1300));
        let newroot = rustix::process::Pid::from_raw(newroot.try_into().unwrap()).unwrap();
        rustix::process::kill_process(newroot, number).unwrap();
        assert_eq!(code(&mut tracer), expected);
        assert_eq!(status()["exited"], OWN);
        assert_eq!(before.leaked(PATIENCE), [""; 0]);
    }
}

/// Something deaf is left: for two seconds the session is still there, and its command is not.
fn with_a_rest() {
    root();
    let script = "trap '' TERM; (echo ready; while :; do sleep 1; done) & exit 7";
    let command = ["/mnt/r", "sh", "-c", script];
    let run = enter(&[&STATUS_TO[..], &command].concat());
    let table: &[(&[Signal], i32, Value)] = &[
        (&[], OWN, json!("command")),
        // What is passed on has nobody to go to any more.
        (&[Signal::USR1, Signal::USR2], OWN, json!("command")),
        (&[Signal::TERM], 143, json!({ "newroot": "SIGTERM" })),
        (
            &[Signal::INT, Signal::TERM],
            130,
            json!({ "newroot": "SIGINT" }),
        ),
    ];
    for (signals, expected, by) in table {
        let before = Inside::now();
        let mut child = started_as(&run);
        let begun = Instant::now();
        let init = child_of(child.id());
        let spent = || processor_time(init);
        std::thread::sleep(Duration::from_millis(200));
        for number in *signals {
            signal(&child, *number);
            std::thread::sleep(Duration::from_millis(200));
        }
        if signals.len() < 2 {
            // It waits, and does not spin.
            std::thread::sleep(Duration::from_millis(800));
            assert!(spent() < 20, "{} ticks", spent());
        }
        assert_eq!(code(&mut child), *expected, "{signals:?}");
        assert_eq!(
            status(),
            json!({ "exited": OWN, "by": by, "cleanup": "complete", "holders": [] }),
            "{signals:?}"
        );
        // A second one does not wait.
        let twice = *expected != OWN && signals.len() == 2;
        assert!(!twice || begun.elapsed() < Duration::from_millis(1800));
        assert_eq!(before.leaked(PATIENCE), [""; 0], "{signals:?}");
    }
}

/// Ticks (of a hundredth of a second) that it has computed.
fn processor_time(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = text.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = rest.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The session that it visits goes on, whatever becomes of the visitor.
fn a_visit() {
    root();
    let mut session = started(&["/mnt/r", "sh", "-c", "echo ready; exec sleep 1000"]);
    let command = ["r", "sh", "-c", "sleep 0.01; exit 7"];
    let run = newroot([&["exec"], &STATUS_TO[..], &command].concat());
    at_moments(&run, Signal::TERM);
    assert!(session.try_wait().unwrap().is_none());
    newroot(["stop", "r"]).run().code(0);
    assert_eq!(code(&mut session), 143);
}
