//! `newroot scan` where there is a device-mapper: LUKS unlocked and locked again, LVM and md
//! active and not, LVM inside of LUKS, and the live system itself left out.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::disk::Disk;
use crate::vm::Vm;
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "scan/live",
        about: "LUKS, LVM in LUKS, LVM and a degraded mirror are seen, and all is as before",
        systems: &[System::Live],
        smoke: true,
        run: |bench| {
            let mut machine = live::machine(bench)?;
            for name in ["luks", "lvm", "md"] {
                machine = machine.disk(Disk::empty(bench, name, 96)?);
            }
            let mut vm = machine.boot(bench)?;
            all(bench, &mut vm, ["/dev/vda", "/dev/vdb", "/dev/vdc"])?;
            vm.off()
        },
    },
    Case {
        name: "scan/debian",
        about: "the same where udev and systemd look on",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let mut machine = debian::machine(bench);
            for name in ["luks", "lvm", "md"] {
                machine = machine.disk(Disk::empty(bench, name, 96)?);
            }
            let mut vm = machine.boot(bench)?;
            let names = ["luks", "lvm", "md"].map(|name| format!("/dev/disk/by-id/virtio-{name}"));
            all(bench, &mut vm, names.each_ref().map(String::as_str))?;
            let own = vm.ok("newroot scan 2>&1")?;
            ensure!(
                own.contains("(this running system)"),
                "it finds itself: {own}"
            );
            vm.off()
        },
    },
    Case {
        name: "scan/told",
        about: "SIGTERM or Ctrl-C while LVM in LUKS is open for a look: it is locked again",
        systems: &[System::Live],
        smoke: false,
        run: told,
    },
];

/// Makes a small system called $2 on the device $1.
const MAKE: &str = "make() {
    mkfs.ext4 -q $1 && mount $1 /mnt && mkdir -p /mnt/etc /mnt/bin /mnt/sbin &&
    echo ID=debian >/mnt/etc/os-release && echo $2 >/mnt/etc/hostname && : >/mnt/etc/fstab &&
    : >/mnt/sbin/init && umount /mnt; }";

fn all(_bench: &Bench, vm: &mut Vm, [luks, lvm, md]: [&str; 3]) -> Result<()> {
    vm.ok(&format!(
        "{MAKE}
         set -e; printf secret >/tmp/key
         cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {luks} /tmp/key
         cryptsetup open -d /tmp/key {luks} vault
         lvm pvcreate -q /dev/mapper/vault; lvm vgcreate -q inner /dev/mapper/vault
         lvm lvcreate -q -l 15 -n root inner; make /dev/inner/root secretive
         vgchange -q -a n inner; cryptsetup close vault
         lvm pvcreate -q {lvm}; lvm vgcreate -q outer {lvm}; lvm lvcreate -q -l 15 -n root outer
         make /dev/outer/root logical
         mdadm --create /dev/md/array --run --level=1 --raid-devices=2 {md} missing
         make /dev/md/array mirrored; sync"
    ))?;
    // Everything is active.
    let active = vm.ok("newroot scan 2>&1")?;
    seen(
        &active,
        &["logical", "outer-root ext4", "mirrored", "locked, LUKS2"],
    )?;
    vm.ok("vgchange -q -a n outer; mdadm --stop /dev/md/array; sync")?;
    let before = vm.state()?;
    // Nothing is, and nothing becomes so. (Where udev assembles by itself, it is.)
    let asleep = vm.ok("newroot scan 2>&1")?;
    seen(
        &asleep,
        &["logical", "mirrored", "1 of 2 members", "locked, LUKS2"],
    )?;
    let id = asleep
        .split_whitespace()
        .find(|word| word.starts_with("luks-"))
        .unwrap_or_default()
        .to_string();
    let inside = vm.ok(&format!(
        "newroot scan --unlock {id} --key-file /tmp/key 2>&1"
    ))?;
    seen(&inside, &["secretive", "inner/root ext4", "logical"])?;
    vm.same_as(&before)?;
    let refused = vm.fails(
        125,
        &format!("printf wrong | newroot scan --unlock {id} --key-file - 2>&1"),
    )?;
    seen(&refused, &["the passphrase does not fit"])?;
    vm.same_as(&before)?;
    vm.begin(&format!("newroot scan --unlock {id}"))?;
    vm.answer("Passphrase of luks-", "wrong")?;
    vm.answer("does not fit", "secret")?;
    let asked = vm.end(60)?;
    ensure!(asked.status == 0, "{}", asked.text);
    seen(&asked.text, &["secretive"])?;
    vm.same_as(&before)
}

fn told(bench: &Bench) -> Result<()> {
    let mut machine = live::machine(bench)?;
    for name in ["inner", "other"] {
        machine = machine.disk(Disk::empty(bench, name, 96)?);
    }
    let mut vm = machine.boot(bench)?;
    vm.ok(&format!(
        "{MAKE}
         set -e; printf secret >/tmp/key
         for disk in vda vdb; do
             cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/$disk /tmp/key
         done
         cryptsetup open -d /tmp/key /dev/vda vault
         lvm pvcreate -q /dev/mapper/vault; lvm vgcreate -q inner /dev/mapper/vault
         lvm lvcreate -q -l 15 -n root inner; make /dev/inner/root secretive
         vgchange -q -a n inner; cryptsetup close vault; sync; set +e"
    ))?;
    let asleep = vm.ok("newroot scan 2>&1")?;
    let ids: Vec<&str> = asleep
        .split_whitespace()
        .filter(|word| word.starts_with("luks-"))
        .collect();
    let [id, .., other] = ids[..] else {
        anyhow::bail!("two are locked: {asleep}");
    };
    let before = vm.state()?;
    for verb in ["scan", "doctor"] {
        let command = format!("newroot {verb} --unlock {id} --key-file /tmp/key");
        let begun = Instant::now();
        vm.sh(&command)?;
        let whole = begun.elapsed().as_secs_f64();
        let mut hits = 0;
        for round in 0..18 {
            let moment = whole * f64::from(round) / 18.0;
            let status = vm.sh(&format!(
                // A shell of its own: this one would tell of the job that ended.
                "sh -c '{command} >/dev/null 2>&1 & pid=$!
                 sleep {moment:.2}; kill $pid 2>/dev/null; wait $pid' 2>/dev/null"
            ))?;
            ensure!(
                [0, 1, 143].contains(&status.status),
                "{verb} {round}: {}",
                status.status
            );
            hits += u32::from(status.status == 143);
            vm.same_as(&before)?;
        }
        ensure!(hits > 8, "{verb}: told while it ran: {hits}");
    }
    vm.begin(&format!("newroot scan --unlock {id} --unlock {other}"))?;
    vm.answer(&format!("Passphrase of {id}"), "secret")?;
    vm.answer(&format!("Passphrase of {other}"), "\x03")?;
    let ended = vm.end(60)?;
    ensure!(ended.status == 130, "{}: {}", ended.status, ended.text);
    vm.same_as(&before)?;
    vm.off()
}

fn seen(text: &str, wanted: &[&str]) -> Result<()> {
    for part in wanted {
        ensure!(text.contains(part), "no {part:?} in:\n{text}");
    }
    Ok(())
}
