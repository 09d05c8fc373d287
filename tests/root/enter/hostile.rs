//! A root that means harm: nothing outside of it is ever mounted on or written.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::{enter, root};
use crate::leak::mounts;
use crate::need::Need;
use crate::snapshot::Snapshot;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let needs = &[Need::Command("busybox")];
    vec![
        Trial::new("enter::hostile_links", needs, links),
        Trial::new("enter::directories_swapped_while_it_mounts", needs, swapped),
    ]
}

/// What the host must keep: a directory that every hostile link leads to.
fn canary() -> Snapshot {
    let canary = Path::new("/mnt/canary");
    for name in ["proc", "sys", "dev", "run", "etc", "tmp", "a"] {
        std::fs::create_dir_all(canary.join(name)).unwrap();
    }
    super::write(canary.join("etc/resolv.conf"), "canary\n");
    Snapshot::of(canary)
}

fn links() {
    let before = canary();
    let root = root();
    let host = mounts();
    for name in ["proc", "sys", "dev", "run"] {
        std::fs::remove_dir(root.join(name)).unwrap();
        for target in [
            "/mnt/canary",
            "../mnt/canary",
            "/",
            "/etc",
            name,
            "/proc/1/root",
            "../../../../../../mnt/canary/a",
        ] {
            symlink(target, root.join(name)).unwrap();
            let inside = Snapshot::of(&root);
            for mode in ["pivot", "chroot"] {
                enter(&[
                    "--mode",
                    mode,
                    "/mnt/r",
                    "sh",
                    "-c",
                    "ls -d /proc/1 && touch /run/x /dev/shm/y",
                ])
                .run()
                .code(0);
            }
            inside.assert_same(&Snapshot::of(&root));
            std::fs::remove_file(root.join(name)).unwrap();
        }
        std::fs::create_dir(root.join(name)).unwrap();
    }
    // Targets of --bind and resolv.conf may be links; they end inside the root.
    symlink("/mnt/canary/a", root.join("out")).unwrap();
    symlink("/mnt/canary/etc/resolv.conf", root.join("etc/resolv.conf")).unwrap();
    // What the root lacks is made for the time being, in the root as it is entered.
    let inside = Snapshot::of(&root);
    enter(&["--bind", "/usr:/out", "/mnt/r", "ls", "/mnt/canary/a/bin"])
        .run()
        .code(0);
    inside.assert_same(&Snapshot::of(&root));
    before.assert_same(&Snapshot::of(Path::new("/mnt/canary")));
    std::fs::create_dir_all(root.join("mnt/canary/a")).unwrap();
    enter(&["--bind", "/usr:/out", "/mnt/r", "ls", "/mnt/canary/a/bin"])
        .run()
        .code(0);
    before.assert_same(&Snapshot::of(Path::new("/mnt/canary")));
    assert_eq!(mounts(), host);
}

/// RENAME_EXCHANGE, ten thousand times, of mount points and links that lead to the host.
fn swapped() {
    let before = canary();
    let root = root();
    let evil = root.join("evil");
    std::fs::create_dir(&evil).unwrap();
    for name in ["proc", "sys", "dev", "run", "etc", "tmp"] {
        symlink(format!("/mnt/canary/{name}"), evil.join(name)).unwrap();
    }
    super::write(root.join("etc/resolv.conf"), "");
    let host = mounts();
    let swapper = std::thread::spawn(swap);
    let mut entered = 0;
    let mut tried = 0;
    while !swapper.is_finished() {
        let mode = if tried % 2 == 0 { "pivot" } else { "chroot" };
        let output = enter(&[
            "--mode",
            mode,
            "--bind",
            "/usr/share:/tmp",
            "/mnt/r",
            "/bin/sh",
            "-c",
            "touch /run/x; touch /dev/shm/x; echo in",
        ])
        .run();
        entered += usize::from(output.stdout == "in\n");
        tried += 1;
        assert_eq!(mounts(), host);
    }
    swapper.join().unwrap();
    eprintln!("entered {entered} of {tried} times");
    assert!(tried > 20, "only {tried} tries");
    assert!(entered > 0, "entered {entered} of {tried}");
    before.assert_same(&Snapshot::of(Path::new("/mnt/canary")));
    std::fs::remove_file("/dev/shm/x").ok();
    assert!(super::records().is_empty());
}

/// A pause after each round spreads the swaps over as many entries as possible.
fn swap() {
    let names = ["proc", "sys", "dev", "run", "etc", "tmp"];
    let mut done = 0;
    while done < 10_000 {
        for name in names {
            let swapped = rustix::fs::renameat_with(
                rustix::fs::CWD,
                format!("/mnt/r/{name}"),
                rustix::fs::CWD,
                format!("/mnt/r/evil/{name}"),
                rustix::fs::RenameFlags::EXCHANGE,
            );
            done += usize::from(swapped.is_ok());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}
