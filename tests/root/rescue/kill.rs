//! newroot killed without warning: `cleanup` brings everything back.

use std::process::Stdio;
use std::time::Duration;

use super::{inside, records, target};
use crate::need::Need;
use crate::run::newroot;
use crate::snapshot::Snapshot;
use crate::strace::signalled;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let busybox = Need::Command("busybox");
    vec![
        Trial::new("rescue::killed_at_random_moments", &[busybox], random)
            .timeout(Duration::from_secs(300)),
        Trial::new(
            "rescue::killed_at_every_step",
            &[busybox, Need::Command("strace")],
            steps,
        )
        .timeout(Duration::from_secs(300)),
    ]
}

/// A hundred moments between the start and well after the end.
fn random() {
    let root = target();
    let before = Snapshot::of(&root);
    let mut dead = 0;
    for number in 0_u64..100 {
        let run = inside("sleep 0.02");
        let mut child = run.spawn(Stdio::null(), Stdio::null(), Stdio::null());
        // Steps that do not divide each other, so that no two moments are the same.
        std::thread::sleep(Duration::from_micros(number * 7919 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        dead += usize::from(!records().is_empty());
        newroot(["cleanup"]).run().code(0);
        assert!(records().is_empty(), "{number}: {:?}", records());
        assert!(
            !root.join("usr/sbin/policy-rc.d").exists(),
            "{number}: policy-rc.d stays"
        );
    }
    assert!(dead > 20, "hit while it ran: {dead}");
    Snapshot::of(&root).assert_same_but_times(&before);
}

fn steps() {
    let root = target();
    let before = Snapshot::of(&root);
    let mut kills = 0;
    for call in [
        "renameat",
        "unlinkat",
        "openat2",
        "unshare",
        "clone3",
        "move_mount",
        "write",
    ] {
        for when in [1, 2, 3, 4, 5, 7, 9, 12, 16, 20] {
            signalled(inside("exit 0"), call, "KILL", when).run();
            kills += usize::from(!records().is_empty());
            newroot(["cleanup"]).run().code(0);
            assert!(records().is_empty(), "{call} {when}");
            Snapshot::of(&root).assert_same_but_times(&before);
        }
    }
    assert!(kills > 10, "the faults did not hit: {kills}");
}
