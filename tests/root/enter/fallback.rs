//! Kernels that lack the newer calls: each is made to fail with ENOSYS, and all of them together.

use super::{enter, root};
use crate::need::Need;
use crate::strace;
use crate::trial::Trial;

const CALLS: [&str; 8] = [
    "openat2",
    "open_tree",
    "move_mount",
    "fsopen",
    "mount_setattr",
    "clone3",
    "close_range",
    "pidfd_open",
];

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox"), Need::Command("strace")];
    vec![Trial::new("enter::without_the_newer_calls", needs, older)]
}

fn older() {
    root();
    std::fs::create_dir_all("/mnt/src/sub").unwrap();
    super::write("/mnt/src/file", "content");
    let script = "cat /tmp/file && ! touch /tmp/new 2>/dev/null && echo $(ls /proc/self/fd | wc -l) && mount | cut -d' ' -f3";
    for name in ["cut", "wc"] {
        std::os::unix::fs::symlink("busybox", format!("/mnt/r/bin/{name}")).unwrap();
    }
    let words = [
        "--dev",
        "minimal",
        "--bind",
        "/mnt/src:/tmp:ro",
        "/mnt/r",
        "sh",
        "-c",
        script,
    ];
    let expected = enter(&words).run();
    expected.code(0).stdout_has("content");
    let all = CALLS.join(",");
    for calls in CALLS.iter().copied().chain([all.as_str()]) {
        let output = strace::with_fault(enter(&words), calls, "ENOSYS", 1).run();
        assert_eq!(output.stdout, expected.stdout, "{calls}\n{}", output.stderr);
        // Every call of that name, not only the first.
        let filter = format!("inject={calls}:error=ENOSYS");
        let run = enter(&words).through(["strace", "-f", "-qq", "-o", "/dev/null", "-e", &filter]);
        run.run().code(0).stdout_is(&expected.stdout);
    }
    // A skeleton takes other ways.
    std::fs::remove_dir("/mnt/r/run").unwrap();
    let words = ["/mnt/r", "sh", "-c", "ls /"];
    let expected = enter(&words).run();
    expected.code(0).stderr_has("lacks /run");
    let filter = format!("inject={all}:error=ENOSYS");
    let run = enter(&words).through(["strace", "-f", "-qq", "-o", "/dev/null", "-e", &filter]);
    run.run().code(0).stdout_is(&expected.stdout);
}
