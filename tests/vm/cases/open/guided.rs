//! The guided rescue, by a person at a serial line.

use std::fs;

use anyhow::{Result, ensure};

use super::{seen, tree};
use crate::bench::Bench;
use crate::disk::{self, Disk, Kind};
use crate::live;

/// The first screen, the target's own menu, a shell that writes after a yes, and out again.
pub(super) fn guided(bench: &Bench) -> Result<()> {
    let directories = ["dev", "proc", "sys", "run", "tmp", "root", "boot"];
    let tree = tree(
        bench,
        &directories,
        "guided",
        "LABEL=root / ext4 defaults 0 1\n",
    )?;
    fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    // Static: it needs nothing else.
    fs::copy("/bin/busybox", tree.join("bin/busybox"))?;
    for name in ["sh", "cat", "touch", "ls"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(name))?;
    }
    let root = bench.file("root");
    disk::filesystem(&root, Kind::Ext4, 64, Some(&tree))?;
    let parts = [disk::Partition {
        kind: "linux",
        content: &root,
    }];
    let disk = Disk::partitioned(bench, "disk", &parts)?;
    let mut vm = live::machine(bench)?.disk(disk).boot(bench)?;
    vm.ok("newroot ps")?;
    let before = vm.state()?;

    vm.begin("stty echo; newroot rescue guided; status=$?; stty -echo; (exit $status)")?;
    let screen = vm.answer("Choice:", "report")?;
    seen(
        &screen,
        &[
            "guided, Debian 12, open READ-ONLY. Nothing changed yet.",
            "/  vda1 ext4",
            "root shell inside guided (asks, then mounts read-write)",
            "Without this menu: newroot rescue guided -- bash",
        ],
    )?;
    vm.answer("Choice:", "shell")?;
    vm.answer("Type yes or no [no]:", "yes")?;
    vm.answer("(newroot:guided)", "touch /made; stty size; exit 3")?;
    let screen = vm.answer("Choice:", "outside")?;
    seen(&screen, &["24 200", "open READ-WRITE"])?;
    vm.answer("newroot:guided-outside", "cat /mnt/etc/hostname; exit")?;
    let screen = vm.answer("Choice:", "finish")?;
    seen(&screen, &["guided"])?;
    let ended = vm.end(60)?;
    ensure!(ended.status == 0, "{}", ended.text);
    seen(
        &ended.text,
        &[
            "Closed: ",
            "vda1 is free (checked)",
            "This machine is as before.",
        ],
    )?;
    vm.ok("rm -f /run/newroot/*.log /root/.bash_history")?;
    vm.same_as(&before)?;
    let made = vm.ok("newroot mount guided 2>&1 && ls /mnt && newroot umount guided")?;
    seen(&made, &["made"])?;
    vm.same_as(&before)?;
    vm.off()
}
