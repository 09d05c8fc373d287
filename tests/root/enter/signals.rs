//! Signals to newroot.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::{child_of, code, enter, root, signal, started, until};
use crate::jail::jail;
use crate::need::Need;
use crate::run::{Run, newroot};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::sigterm_and_sigint_end_it", needs, term_and_int),
        Trial::new("enter::a_deaf_program_is_killed", needs, deaf),
        Trial::new("enter::sighup_spares_a_command", needs, hup),
        Trial::new("enter::sigkill_leaves_nothing", needs, kill),
        Trial::new("enter::sigterm_at_any_moment", needs, at_any_moment),
        Trial::new("enter::other_signals_are_passed_on", needs, others),
    ]
}

fn gone(pid: u32) -> bool {
    std::fs::metadata(format!("/proc/{pid}")).is_err()
}

fn term_and_int() {
    root();
    for (number, expected) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let script = "echo ready; exec sleep 1000";
        let mut child = started(&["/mnt/r", "sh", "-c", script]);
        let init = child_of(child.id());
        signal(&child, number);
        assert_eq!(code(&mut child), expected);
        assert!(gone(init));
        assert!(super::records().is_empty());
    }
}

fn deaf() {
    root();
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let mut child = started(&["/mnt/r", "sh", "-c", script]);
    signal(&child, Signal::TERM);
    // A second one does not wait. (Two that are pending at once come in the order of numbers.)
    std::thread::sleep(std::time::Duration::from_millis(200));
    signal(&child, Signal::INT);
    assert_eq!(code(&mut child), 143);
    assert!(super::records().is_empty());
}

fn hup() {
    root();
    let script = "trap 'echo hup > /tmp/hup' HUP; echo ready; while :; do sleep 0.05; done";
    let mut child = started(&["/mnt/r", "sh", "-c", script]);
    signal(&child, Signal::HUP);
    // Handled in the order of their numbers: had SIGHUP ended the session, it would say 129.
    signal(&child, Signal::USR1);
    assert_eq!(code(&mut child), 138);
    assert!(std::fs::metadata("/mnt/r/tmp/hup").is_err());
}

fn kill() {
    root();
    let script = "(setsid sleep 1000 &) ; echo ready; exec sleep 1000";
    let mut child = started(&["/mnt/r", "sh", "-c", script]);
    let init = child_of(child.id());
    signal(&child, Signal::KILL);
    assert_eq!(code(&mut child), 137);
    until("the init is gone", || gone(init));
    // The sandbox's own check finds any process or mount that is left.
    newroot(["ps"]).run().code(0).stdout_has("dead");
    newroot(["cleanup"]).run().code(0);
    assert!(super::records().is_empty());
}

fn others() {
    root();
    let script = "n=0; for s in USR1 USR2 QUIT; do trap \"echo $s >> /tmp/got; n=\\$((n+1))\" $s; done; \
                  echo ready; while [ $n -lt 3 ]; do sleep 0.05; done; exit 0";
    let mut child = started(&["/mnt/r", "sh", "-c", script]);
    let got = || std::fs::read_to_string("/mnt/r/tmp/got").unwrap_or_default();
    for (number, name) in [
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::QUIT, "QUIT"),
    ] {
        signal(&child, number);
        until(name, || got().contains(name));
    }
    assert_eq!(code(&mut child), 0);
}

/// At any moment from its start on: it ends as it was told, and leaves nothing.
fn at_any_moment() {
    const LOOP: &str = "while :; do sleep 1; done";
    root();
    let moments = |count: u64| (0..count).map(|step| Duration::from_micros(500 * step));
    for moment in moments(60) {
        told(enter(&["/mnt/r", "sh", "-c", LOOP]), moment);
    }
    // Its files are copied first.
    for moment in moments(120) {
        told(
            jail(&["try", "sh", "sleep", "--", "sh", "-c", LOOP]),
            moment,
        );
    }
}

/// SIGTERM after so long: whatever was begun by then is gone.
fn told(run: Run, moment: Duration) {
    let mut child = run.spawn(Stdio::null(), Stdio::null(), Stdio::null());
    std::thread::sleep(moment);
    signal(&child, Signal::TERM);
    assert_eq!(code(&mut child), 143, "{moment:?}");
    assert!(super::records().is_empty(), "{moment:?}");
}
