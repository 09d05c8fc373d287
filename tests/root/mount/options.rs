//! Read-write, and what speaks against it.

use std::fs;

use super::{EXT4, copy, ext4, nothing_left, run, same};
use crate::disk::{DEBIAN, disk, filesystem, poke, sh, system};
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::new(
        "mount::read_write_and_its_reasons",
        &EXT4,
        read_write_and_its_reasons,
    )]
}

fn read_write_and_its_reasons() {
    let swap = filesystem("/tmp/swap", 8, "mkswap");
    let root = ext4("/tmp/root", "", |top| system(top, DEBIAN, "web03", ""));
    let table = "label: gpt\nsize=16MiB, type=L\nsize=8MiB, type=S\n";
    let image = disk("/tmp/disk.img", 40, table, &[(1, &root), (2, &swap)]);
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(0)
        .stderr_has("read-write at /mnt");
    fs::write("/mnt/etc/new", "").unwrap();
    run(&["umount", "web03"]).code(0);
    nothing_left(&image);

    poke(&swap, 0xff6, b"S1SUSPEND\0");
    let image = disk("/tmp/disk.img", 40, table, &[(1, &root), (2, &swap)]);
    let before = copy(&image);
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(125)
        .stderr_has("it is hibernated: its memory lies in disk.img p2")
        .stderr_has("--discard-hibernation");
    nothing_left(&image);
    run(&["-y", "mount", "--read-write", "/tmp/disk.img"]).code(125);
    run(&["mount", "/tmp/disk.img"])
        .code(0)
        .stderr_has("READ-ONLY");
    run(&["umount", "web03"]).code(0);
    same(&image, &before);
    run(&[
        "mount",
        "--read-write",
        "--discard-hibernation",
        "/tmp/disk.img",
    ])
    .code(0);
    run(&["umount", "web03"]).code(0);

    // Errors that the kernel noted in the superblock (EXT4_ERROR_FS).
    let state = sh("dumpe2fs -h /tmp/root 2>/dev/null; tune2fs -O ^metadata_csum /tmp/root");
    assert!(!state.contains("with errors"), "{state}");
    poke(&root, 1024 + 0x3a, &[3]);
    let image = disk(
        "/tmp/disk.img",
        40,
        "label: gpt\nsize=16MiB, type=L\n",
        &[(1, &root)],
    );
    run(&["mount", "--read-write", "/tmp/disk.img"])
        .code(125)
        .stderr_has("is marked as having errors")
        .stderr_has("--filesystem-errors");
    run(&["mount", "/tmp/disk.img"]).code(0);
    run(&["umount", "web03"]).code(0);
    run(&[
        "mount",
        "--read-write",
        "--filesystem-errors",
        "/tmp/disk.img",
    ])
    .code(0);
    run(&["umount", "web03"]).code(0);
    nothing_left(&image);
}
