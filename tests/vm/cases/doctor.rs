//! `newroot doctor` where there is a device-mapper and where a real boot has left a journal.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::disk::Disk;
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "doctor/unlock",
        about: "the system inside of LUKS is looked at, and the volume is locked again",
        systems: &[System::Live],
        smoke: false,
        run: unlock,
    },
    Case {
        name: "doctor/array",
        about: "a mirror without its half is said, assembled or not",
        systems: &[System::Live],
        smoke: false,
        run: array,
    },
    Case {
        name: "doctor/journal",
        about: "what failed in a real boot is read from the journal that it left",
        systems: &[System::Debian],
        smoke: false,
        run: journal,
    },
];

/// A system whose fstab wants a disk that is not there.
const MAKE: &str = "set -e; printf secret >/tmp/key
    cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/vda /tmp/key
    cryptsetup open -d /tmp/key /dev/vda vault
    mkfs.ext4 -q /dev/mapper/vault; mount /dev/mapper/vault /mnt; cd /mnt
    mkdir -p etc bin sbin boot usr/lib/modules/6.1; echo ID=debian >etc/os-release; : >sbin/init
    echo secretive >etc/hostname; : >boot/vmlinuz-6.1
    echo 'UUID=77c1a2f0-0000-4000-8000-000000000001 /data ext4 defaults 0 2' >etc/fstab
    cd /; umount /mnt; cryptsetup close vault; sync; set +e";

fn unlock(bench: &Bench) -> Result<()> {
    let machine = live::machine(bench)?.disk(Disk::empty(bench, "luks", 96)?);
    let mut vm = machine.boot(bench)?;
    vm.ok(MAKE)?;
    let before = vm.state()?;
    let refused = vm.fails(125, "newroot doctor 2>&1")?;
    let id = refused
        .split_whitespace()
        .find(|word| word.starts_with("luks-"))
        .unwrap_or_default()
        .to_string();
    let line = format!("newroot doctor --unlock {id}");
    ensure!(refused.contains(&line), "it says how: {refused}");
    let ill = |text: &str| {
        let wanted = ["secretive", "/data", "77c1a2f0"];
        ensure!(wanted.iter().all(|word| text.contains(word)), "{text}");
        Ok(())
    };
    // Without a target, and by every name of the volume: what lies inside is meant.
    for target in ["", &id, "/dev/vda", "secretive"] {
        let text = vm.fails(1, &format!("{line} --key-file /tmp/key {target} 2>&1"))?;
        ill(&text)?;
        vm.same_as(&before)?;
    }
    let json = vm.fails(
        1,
        &format!("{line} --key-file /tmp/key --json | head -c 60; false"),
    )?;
    ensure!(json.trim_start().starts_with('{'), "{json}");
    let none = vm.fails(125, &format!("{line} --key-file /tmp/key nobody 2>&1"))?;
    ensure!(none.contains("no system fits"), "{none}");
    vm.same_as(&before)?;
    let wrong = vm.fails(125, &format!("printf wrong | {line} --key-file - 2>&1"))?;
    ensure!(wrong.contains("the passphrase does not fit"), "{wrong}");
    vm.same_as(&before)?;
    let preview = vm.ok(&format!("{line} -n"))?;
    ensure!(preview.contains("cryptsetup close"), "{preview}");
    vm.begin(&line)?;
    vm.answer("Passphrase of luks-", "wrong")?;
    vm.answer("does not fit", "secret")?;
    let asked = vm.end(60)?;
    ensure!(asked.status == 1, "{}", asked.text);
    ill(&asked.text)?;
    vm.same_as(&before)?;
    vm.off()
}

fn array(bench: &Bench) -> Result<()> {
    let machine = live::machine(bench)?.disk(Disk::empty(bench, "md", 96)?);
    let mut vm = machine.boot(bench)?;
    vm.ok("set -e
        mdadm --create /dev/md/array --run --level=1 --raid-devices=2 /dev/vda missing 2>&1
        mkfs.ext4 -q /dev/md/array; mount /dev/md/array /mnt; cd /mnt
        mkdir -p etc bin sbin; echo ID=debian >etc/os-release; : >sbin/init
        echo mirrored >etc/hostname; : >etc/fstab; cd /; umount /mnt; sync; set +e")?;
    for state in ["assembled", "apart"] {
        let report = vm.sh("newroot doctor --plain mirrored 2>&1")?.text;
        let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
        for wanted in ["WARN", "has only 1 of 2 members", "newroot scan shows"] {
            ensure!(
                report.contains(wanted),
                "{state}: no {wanted:?} in:\n{report}"
            );
        }
        vm.ok("mdadm --stop /dev/md/array 2>&1 || true")?;
    }
    vm.off()
}

/// A unit that fails, a line of the kernel, a message too long to be kept as it is.
const TROUBLE: &str =
    "mkdir -p /var/log/journal && systemd-tmpfiles --create --prefix /var/log/journal &&
    journalctl --flush
    printf '[Service]\\nType=oneshot\\nExecStart=/bin/false\\n' >/run/systemd/system/ill.service
    systemctl daemon-reload; systemctl start ill.service
    truncate -s 1M /tmp/none; mount -t ext4 -o loop /tmp/none /mnt
    { echo -n 'long '; head -c 900 /dev/zero | tr '\\0' x; echo; } | systemd-cat -t test -p err
    sleep 1; journalctl --sync";

fn journal(bench: &Bench) -> Result<()> {
    let mut vm = debian::machine(bench).boot(bench)?;
    vm.sh(TROUBLE)?;
    let said = vm.ok("journalctl -b -p err -o cat | cut -c1-60")?;
    ensure!(
        said.contains("Failed to start ill.service"),
        "journalctl: {said}"
    );
    let report = vm
        .sh("newroot doctor -v --plain / 2>&1")?
        .text
        .replace('\n', " ");
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "units failed in the last boot",
        "Failed to start ill.service",
        "Can't find ext4 filesystem",
        "1 long error message of the last boot",
    ] {
        ensure!(report.contains(wanted), "no {wanted:?} in:\n{report}");
    }
    vm.off()
}
