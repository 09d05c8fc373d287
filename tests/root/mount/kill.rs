//! SIGKILL while it mounts.

use std::fs;
use std::time::Duration;

use super::{EXT4, copy, nothing_left, run, same, spawn, web03};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("mount::killed_at_any_moment", &EXT4, killed_at_any_moment)
            .timeout(Duration::from_secs(400)),
    ]
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
