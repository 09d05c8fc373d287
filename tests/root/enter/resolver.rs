//! /etc/resolv.conf of the root: seen as the host's, and never changed.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::{enter, root};
use crate::need::Need;
use crate::snapshot::Snapshot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox"), Need::File("/etc/resolv.conf")];
    vec![Trial::new("enter::resolv_conf", needs, resolv_conf)]
}

fn resolv_conf() {
    let root = root();
    let file = root.join("etc/resolv.conf");
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let targets = [
        // systemd-resolved's, dangling as long as nothing runs there.
        "../run/systemd/resolve/stub-resolv.conf",
        "/run/NetworkManager/resolv.conf",
        "/var/run/dhcp/resolv.conf",
        // Absolute, and not into /run; dangling; leading out by text.
        "/etc/real.conf",
        "nowhere",
        "../../../../../../etc/real.conf",
    ];
    std::fs::create_dir_all(root.join("var")).unwrap();
    symlink("/run", root.join("var/run")).unwrap();
    super::write(root.join("etc/real.conf"), "nameserver 192.0.2.7\n");
    let look = |what: &str| {
        let before = Snapshot::of(&root);
        enter(&["/mnt/r", "cat", "/etc/resolv.conf"])
            .run()
            .code(0)
            .stdout_is(&host);
        before.assert_same(&Snapshot::of(&root));
        eprintln!("{what}: as it was");
    };
    for target in targets {
        symlink(target, &file).unwrap();
        look(target);
        std::fs::remove_file(&file).unwrap();
    }
    super::write(&file, "nameserver 192.0.2.8\n");
    look("a file");
    std::fs::remove_file(&file).unwrap();
    // None: none is made.
    let before = Snapshot::of(&root);
    enter(&["/mnt/r", "cat", "/etc/resolv.conf"]).run().code(1);
    before.assert_same(&Snapshot::of(&root));
    assert!(!Path::new("/mnt/r/etc/resolv.conf").try_exists().unwrap());
}
