//! `enter` and `jail try` where the root is an initramfs. `pivot_root` refuses that root; newroot
//! goes round it, and must leave nothing behind all the same.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::disk::Disk;
use crate::vm::Vm;
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "enter/initramfs",
        about: "enter pivots from an initramfs root, by shell and by command, and leaves nothing",
        systems: &[System::Live],
        smoke: true,
        run: enter,
    },
    Case {
        name: "enter/try",
        about: "jail try works from an initramfs root, for root and for a user, and leaves nothing",
        systems: &[System::Live],
        smoke: true,
        run: jail_try,
    },
    Case {
        name: "enter/installed",
        about: "enter works in a Debian on a disk, from the initramfs; the disk is free again",
        systems: &[System::Live, System::Debian],
        smoke: false,
        run: installed,
    },
    Case {
        name: "enter/debian",
        about: "enter and jail try where systemd runs (shared mounts), and leave nothing",
        systems: &[System::Debian],
        smoke: false,
        run: below_systemd,
    },
];

/// Fails here, or these cases prove nothing.
const PLAIN_PIVOT: &str = "unshare -m sh -c 'mount -t tmpfs new /mnt && cd /mnt && pivot_root . .'";

/// In the root: what it sees of the outside, and its root's mount.
const LOOK: &str = "echo root: $(ls /); cat /proc/self/mountinfo; echo pid: $$";

fn enter(bench: &Bench) -> Result<()> {
    let mut vm = live::machine(bench)?.boot(bench)?;
    let refused = vm
        .fails(32, PLAIN_PIVOT)
        .or_else(|_| vm.fails(1, PLAIN_PIVOT))?;
    ensure!(
        refused.contains("Invalid argument"),
        "pivot_root works here: {refused}"
    );
    // One on the initramfs itself, one on another file system.
    for jail in ["/srv/jail", "/tmp/jail"] {
        vm.ok(&format!(
            "mkdir -p /srv; newroot jail build {jail} bash ls cat"
        ))?;
        let before = vm.state()?;
        for mode in ["pivot", "chroot"] {
            let inside = vm.ok(&format!(
                "newroot enter --mode {mode} {jail} bash -c '{LOOK}'"
            ))?;
            only_the_jail(&inside)?;
            vm.same_as(&before)?;
        }
        vm.fails(42, &format!("newroot enter {jail} bash -c 'exit 42'"))?;
        by_hand(&mut vm, jail)?;
        vm.same_as(&before)?;
    }
    vm.off()
}

/// A person at the console: a shell, a command in it, and out. Its history would be a file left.
fn by_hand(vm: &mut Vm, jail: &str) -> Result<()> {
    vm.begin(&format!("newroot enter --env HISTFILE= {jail}"))?;
    vm.answer("(newroot:", "echo $((6 * 7))")?;
    vm.wait_for("42", 30)?;
    vm.answer("(newroot:", "exit 3")?;
    let end = vm.end(60)?;
    ensure!(
        end.status == 3,
        "the shell's exit 3 came out as {}: {}",
        end.status,
        end.text
    );
    Ok(())
}

fn jail_try(bench: &Bench) -> Result<()> {
    let mut vm = live::machine(bench)?.boot(bench)?;
    let before = vm.state()?;
    let inside = vm.ok(&format!("newroot jail try bash ls cat -- bash -c '{LOOK}'"))?;
    only_the_jail(&inside)?;
    vm.same_as(&before)?;
    let user = "setpriv --reuid 1000 --regid 1000 --clear-groups";
    let inside = vm.ok(&format!(
        "{user} newroot jail try bash ls cat -- bash -c '{LOOK}'"
    ))?;
    only_the_jail(&inside)?;
    vm.same_as(&before)?;
    vm.off()
}

fn installed(bench: &Bench) -> Result<()> {
    let system = Disk::kept("system", &debian::image(bench));
    let mut vm = live::machine(bench)?.disk(system).boot(bench)?;
    let before = vm.state()?;
    vm.ok("mount /dev/vda /mnt")?;
    let inside = vm.ok("newroot enter /mnt sh -c 'cat /etc/hostname; dpkg -s systemd'")?;
    ensure!(inside.contains("debian-live"), "not the Debian: {inside}");
    ensure!(
        inside.contains("install ok installed"),
        "dpkg does not work: {inside}"
    );
    vm.ok("umount /mnt")?;
    vm.same_as(&before)?;
    // Nobody holds the file system: an exclusive check of it works.
    vm.ok("fsck.ext4 -f -n /dev/vda")?;
    vm.off()
}

fn below_systemd(bench: &Bench) -> Result<()> {
    let mut vm = debian::machine(bench).boot(bench)?;
    vm.sh("systemctl is-system-running --wait")?;
    vm.ok("newroot jail build /srv/jail bash ls cat")?;
    let before = vm.state()?;
    let inside = vm.ok(&format!("newroot enter /srv/jail bash -c '{LOOK}'"))?;
    only_the_jail(&inside)?;
    let inside = vm.ok(&format!("newroot jail try bash ls cat -- bash -c '{LOOK}'"))?;
    only_the_jail(&inside)?;
    vm.same_as(&before)?;
    vm.off()
}

/// The directories of a jail, and no mount of the outside.
fn only_the_jail(inside: &str) -> Result<()> {
    let Some(root) = inside.lines().find_map(|line| line.strip_prefix("root: ")) else {
        anyhow::bail!("it did not look:\n{inside}");
    };
    for outside in ["srv", "mnt", "boot", "init"] {
        ensure!(
            !root.split(' ').any(|name| name == outside),
            "it sees /{outside}: {root}"
        );
    }
    // mountinfo(5): the fifth field is the mount point.
    let lines = inside.lines().filter(|line| line.contains(" - "));
    let points: Vec<&str> = lines.filter_map(|line| line.split(' ').nth(4)).collect();
    let roots = points.iter().filter(|point| **point == "/").count();
    ensure!(roots == 1, "{roots} mounts are its root:\n{inside}");
    for outside in ["/srv", "/mnt", "/tmp", "/boot", "/opt"] {
        ensure!(
            !points.iter().any(|point| point.starts_with(outside)),
            "it sees {outside}:\n{inside}"
        );
    }
    Ok(())
}
