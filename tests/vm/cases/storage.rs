//! LUKS, LVM and md in both live systems: with udev and without.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::disk::{self, Disk, Kind, Partition};
use crate::vm::Vm;
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "storage/live",
        about: "LUKS, LVM and md can be made and are seen again, without udev",
        systems: &[System::Live],
        smoke: true,
        run: |bench| {
            let machine = live::machine(bench)?.disk(Disk::empty(bench, "luks", 64)?);
            let machine = machine.disk(Disk::empty(bench, "lvm", 64)?);
            let mut vm = machine.disk(Disk::empty(bench, "md", 64)?).boot(bench)?;
            all(&mut vm, ["/dev/vda", "/dev/vdb", "/dev/vdc"])?;
            vm.off()
        },
    },
    Case {
        name: "storage/debian",
        about: "the same where udev and systemd look on",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let machine = debian::machine(bench).disk(Disk::empty(bench, "luks", 64)?);
            let machine = machine.disk(Disk::empty(bench, "lvm", 64)?);
            let mut vm = machine.disk(Disk::empty(bench, "md", 64)?).boot(bench)?;
            let names = ["luks", "lvm", "md"].map(|name| format!("/dev/disk/by-id/virtio-{name}"));
            all(&mut vm, names.each_ref().map(String::as_str))?;
            vm.off()
        },
    },
    Case {
        name: "storage/disks",
        about: "a GPT disk made here without privilege is read there: ext4, btrfs, vfat, xfs",
        systems: &[System::Live],
        smoke: false,
        run: disks,
    },
];

fn all(vm: &mut Vm, [luks_disk, lvm_disk, md_disk]: [&str; 3]) -> Result<()> {
    luks(vm, luks_disk)?;
    lvm(vm, lvm_disk)?;
    md(vm, md_disk)
}

fn luks(vm: &mut Vm, disk: &str) -> Result<()> {
    vm.ok(&format!(
        "printf secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {disk} -
         printf secret | cryptsetup open -d - {disk} vault
         echo treasure >/dev/mapper/vault; sync; cryptsetup close vault"
    ))?;
    let kind = vm.ok(&format!("blkid -p -s TYPE -o value {disk}"))?;
    ensure!(kind.trim() == "crypto_LUKS", "blkid sees {kind}");
    vm.begin(&format!("cryptsetup open {disk} vault"))?;
    vm.answer("Enter passphrase", "secret")?;
    let opened = vm.end(60)?;
    ensure!(opened.status == 0, "cryptsetup open: {}", opened.text);
    let text = vm.ok("head -c 8 /dev/mapper/vault; cryptsetup close vault")?;
    ensure!(text.contains("treasure"), "read back: {text}");
    Ok(())
}

fn lvm(vm: &mut Vm, disk: &str) -> Result<()> {
    vm.ok(&format!(
        "lvm pvcreate -q {disk} && lvm vgcreate -q group {disk} && lvm lvcreate -q -l 4 -n data group &&
         echo treasure >/dev/group/data && sync && vgchange -q -a n group && test ! -e /dev/group/data"
    ))?;
    let seen = vm.ok("lvs --noheadings -o vg_name,lv_name,lv_size --units m --nosuffix")?;
    ensure!(
        seen.split_whitespace().eq(["group", "data", "16.00"]),
        "lvs sees {seen}"
    );
    let text =
        vm.ok("vgchange -q -a y group; head -c 8 /dev/group/data; vgchange -q -a n group")?;
    ensure!(text.contains("treasure"), "read back: {text}");
    Ok(())
}

fn md(vm: &mut Vm, disk: &str) -> Result<()> {
    vm.ok(&format!(
        "mdadm --create /dev/md/array --run --level=1 --raid-devices=2 {disk} missing &&
         echo treasure >/dev/md/array && sync && mdadm --stop /dev/md/array"
    ))?;
    let seen = vm.ok(&format!("mdadm --examine {disk}"))?;
    ensure!(seen.contains("Raid Level : raid1"), "mdadm sees {seen}");
    // Where udev has put it together by itself already, that is taken apart first.
    let text = vm.ok(&format!(
        "mdadm --stop --scan; mdadm --assemble --run /dev/md/array {disk} && cat /proc/mdstat &&
         head -c 8 /dev/md/array && mdadm --stop /dev/md/array"
    ))?;
    ensure!(
        text.contains("[2/1]") && text.contains("treasure"),
        "assembled: {text}"
    );
    Ok(())
}

fn disks(bench: &Bench) -> Result<()> {
    let tree = bench.file("tree");
    std::fs::create_dir(&tree)?;
    std::fs::write(tree.join("file"), "treasure\n")?;
    let kinds = [
        (Kind::Ext4, "ext4", "linux"),
        (Kind::Btrfs, "btrfs", "linux"),
        (Kind::Vfat, "vfat", "uefi"),
        (Kind::Xfs, "xfs", "linux"),
    ];
    let files = kinds.map(|(_, name, _)| bench.file(name));
    let mut parts = Vec::new();
    for ((kind, _, part), file) in kinds.iter().zip(&files) {
        // As small as the largest of their smallest: xfs.
        disk::filesystem(file, *kind, 304, Some(&tree))?;
        parts.push(Partition {
            kind: part,
            content: file,
        });
    }
    let disk = Disk::partitioned(bench, "disk", &parts)?;
    let mut vm = live::machine(bench)?.disk(disk).boot(bench)?;
    for (at, (kind, name, _)) in kinds.iter().enumerate() {
        let number = at + 1;
        let seen = vm.ok(&format!("blkid -p -s TYPE -o value /dev/vda{number}"))?;
        ensure!(
            seen.trim() == *name,
            "partition {number} is {seen}, not {name}"
        );
        let text = vm.ok(&format!(
            "mount -t {name} /dev/vda{number} /mnt && ls /mnt && cat /mnt/* ; umount /mnt"
        ))?;
        ensure!(
            *kind == Kind::Xfs || text.contains("treasure"),
            "{name}: {text}"
        );
    }
    vm.off()
}
