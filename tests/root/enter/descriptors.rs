//! Nothing that newroot inherited reaches the program: an open directory would lead out.

use super::{enter, root};
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![Trial::new("enter::descriptors_are_closed", needs, closed)]
}

fn closed() {
    root();
    for mode in ["pivot", "chroot"] {
        // ls has 0, 1, 2 and the directory that it lists.
        let words = ["--mode", mode, "/mnt/r", "ls", "/proc/self/fd"];
        enter(&words)
            .through(["bash", "-c", "exec 9</ 77</etc; exec \"$@\"", "bash"])
            .run()
            .code(0)
            .stdout_is("0\n1\n2\n3\n");
        let words = [
            "--mode",
            mode,
            "/mnt/r",
            "sh",
            "-c",
            "ls /proc/self/fd/9/etc",
        ];
        let output = enter(&words)
            .through(["bash", "-c", "exec 9</; exec \"$@\"", "bash"])
            .run();
        output.code(1).stderr_has("No such file");
    }
}
