//! What goes wrong while a target is open: a disk that cannot be read, a newroot that is killed.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{MAKE, seen, tree};
use crate::bench::Bench;
use crate::disk::{self, Disk, Kind};
use crate::live;
use crate::vm::Vm;

/// What lies on the sectors that cannot be read.
const UNREADABLE: &str = "0123456789abcdef0123456789abcdef";

/// The kernel reports errors of the disk: everything is closed, and ddrescue named.
pub(super) fn failing(bench: &Bench) -> Result<()> {
    let tree = tree(bench, &[], "worn", "LABEL=root / ext4 defaults 0 1\n")?;
    fs::write(tree.join("etc/machine-id"), UNREADABLE)?;
    let root = bench.file("root");
    disk::filesystem(&root, Kind::Ext4, 64, Some(&tree))?;
    let bytes = fs::read(&root)?;
    let at = bytes
        .windows(UNREADABLE.len())
        .position(|part| part == UNREADABLE.as_bytes())
        .context("the machine-id is not on the disk")?;
    let disk = Disk::failing(bench, "worn", &root, at as u64 / 512)?;
    let mut vm = live::machine(bench)?.disk(disk).boot(bench)?;
    vm.ok("newroot ps")?;
    let before = vm.state()?;
    for verb in [
        "mount worn",
        "mount --read-write worn",
        "rescue --read-only worn -- true",
    ] {
        let refused = vm.fails(125, &format!("newroot {verb} 2>&1"))?;
        seen(
            &refused,
            &[
                "the kernel reports errors of its disk",
                "I/O error, dev vda",
                "ddrescue /dev/vda /OTHER/vda.img",
                "--failing-disk",
            ],
        )?;
        vm.same_as(&before)?;
    }
    let done = vm.ok("newroot mount --failing-disk worn 2>&1; cat /mnt/etc/hostname")?;
    seen(
        &done,
        &[
            "the kernel reports errors of vda",
            "READ-ONLY at /mnt",
            "worn",
        ],
    )?;
    vm.fails(1, "cat /mnt/etc/machine-id 2>/dev/null")?;
    vm.ok("newroot umount worn")?;
    vm.same_as(&before)?;
    vm.off()
}

/// A shell in LVM in LUKS, with lent tools, and newroot is killed: `cleanup` closes it all.
pub(super) fn killed_shell(bench: &Bench) -> Result<()> {
    let mut vm = live::machine(bench)?
        .disk(Disk::empty(bench, "luks", 96)?)
        .boot(bench)?;
    vm.ok(&format!(
        "{MAKE}
         (set -e; printf secret >/tmp/key; format /dev/vda /tmp/key
         cryptsetup open -d /tmp/key /dev/vda vault
         lvm pvcreate -q /dev/mapper/vault; lvm vgcreate -q inner /dev/mapper/vault
         lvm lvcreate -q -l 15 -n root inner
         make /dev/inner/root secretive \"/dev/inner/root / ext4 defaults 0 1\" \\
            \"root_crypt UUID=$(uuid /dev/vda) none luks\"
         vgchange -q -a n inner; cryptsetup close vault; sync; newroot ps)"
    ))?;
    let before = vm.state()?;
    let uuid = vm.ok("blkid -p -s UUID -o value /dev/vda")?;
    let id = format!("luks-{}", &uuid.trim()[..4]);
    kill_one(&mut vm, &id)?;
    // What is open is told, undone, and the disk is as it was: it opens again.
    let told = vm.ok("newroot ps 2>&1")?;
    seen(&told, &["dead", "newroot cleanup"])?;
    let cleaned = vm.ok("newroot cleanup 2>&1")?;
    seen(
        &cleaned,
        &[
            "locked newroot-",
            "deactivated the group inner",
            "nothing is left of it",
        ],
    )?;
    // The log of a session stays.
    vm.ok("rm -f /run/newroot/*.log")?;
    vm.same_as(&before)?;
    let again = vm.ok(&format!(
        "newroot rescue --read-only --lent --key-file /tmp/key {id} -- cat /made 2>&1; rm -f /run/newroot/*.log"
    ))?;
    seen(&again, &["written", "This machine is as before"])?;
    vm.same_as(&before)?;
    vm.off()
}

/// Starts a shell in it, and kills newroot when the shell has written.
fn kill_one(vm: &mut Vm, id: &str) -> Result<()> {
    vm.ok("mkfifo /tmp/ready")?;
    vm.ok(&format!(
        "sh -c 'newroot rescue --read-write --lent --key-file /tmp/key {id} -- \\
            sh -c \"echo written >/made; sync; echo in; exec sleep 1000\" >/tmp/ready 2>/tmp/said & pid=$!
         read line </tmp/ready; kill -9 $pid; wait $pid; test \"$line\" = in' 2>/dev/null || {{ cat /tmp/said; exit 9; }}
         rm /tmp/ready /tmp/said"
    ))?;
    let text = vm.ok("sleep 1; cat /proc/[0-9]*/comm")?;
    ensure!(
        !text.lines().any(|name| name == "sleep"),
        "the shell lives:\n{text}"
    );
    Ok(())
}
