//! SIGKILL and SIGTERM while it mounts.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{EXT4, copy, mounted, nothing_left, run, same, spawn, web03};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::killed_at_any_moment", &EXT4, killed_at_any_moment)
            .timeout(Duration::from_secs(400)),
        Trial::new("mount::told_at_any_moment", &EXT4, told_at_any_moment)
            .timeout(Duration::from_secs(400)),
    ]
}

/// SIGTERM while it mounts: everything is taken back; or it stands, and it was no failure.
fn told_at_any_moment() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    let begun = Instant::now();
    spawn(&["mount", "/tmp/kill.img", "/mnt/new"])
        .wait()
        .unwrap();
    let whole = begun.elapsed();
    run(&["umount", "/mnt/new"]).code(0);
    for round in 0..100 {
        let mut child = spawn(&["mount", "/tmp/kill.img", "/mnt/new"]);
        std::thread::sleep(whole * (round + 10) / 100);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        if child.wait().unwrap().success() {
            run(&["umount", "/mnt/new"]).code(0);
        } else {
            let ps = run(&["ps"]).stdout;
            assert!(mounted("/mnt").is_empty(), "round {round}: {ps}");
        }
        // A record that was just begun may be there.
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "round {round}");
    }
    same(&image, &before);
}

/// SIGKILL while it mounts: `cleanup`, or `umount` when it was done, brings everything back.
fn killed_at_any_moment() {
    let image = web03("/tmp/kill.img");
    let before = copy(&image);
    for round in 0..100_u64 {
        let mut child = spawn(&["mount", "/tmp/kill.img", "/mnt/new"]);
        std::thread::sleep(Duration::from_millis(5 + round * 13 % 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let standing = run(&["ps"]).stdout.contains("stands");
        if standing || round % 3 == 0 {
            // Nothing was recorded yet: then there is nothing to unmount either.
            run(&["umount", "/mnt/new"]);
        }
        run(&["cleanup"]).code(0);
        nothing_left(&image);
        assert!(fs::metadata("/mnt/new").is_err(), "round {round}");
    }
    same(&image, &before);
}
