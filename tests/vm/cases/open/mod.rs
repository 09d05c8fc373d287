//! `newroot mount` and `umount` over LUKS, LVM and md: opened under the right names, closed in
//! reverse, and all is as before.

mod damage;
mod guided;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::disk::{self, Disk, Kind, Partition};
use crate::vm::Vm;
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "open/luks",
        about: "LVM in LUKS, named by the crypttab inside; passphrases, key files, a held mount",
        systems: &[System::Live],
        smoke: false,
        run: |bench| {
            let machine = live::machine(bench)?.disk(Disk::empty(bench, "luks", 96)?);
            let mut vm = machine.disk(Disk::empty(bench, "data", 64)?).boot(bench)?;
            luks(&mut vm, ["/dev/vda", "/dev/vdb"])?;
            vm.off()
        },
    },
    Case {
        name: "open/luks-debian",
        about: "the same where udev activates LVM by itself",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let machine = debian::machine(bench).disk(Disk::empty(bench, "luks", 96)?);
            let mut vm = machine.disk(Disk::empty(bench, "data", 64)?).boot(bench)?;
            luks(&mut vm, BY_ID)?;
            vm.off()
        },
    },
    Case {
        name: "open/lvm",
        about: "LUKS on LVM; two groups of one name are refused with the cure",
        systems: &[System::Live],
        smoke: false,
        run: |bench| {
            let machine = live::machine(bench)?.disk(Disk::empty(bench, "luks", 96)?);
            let mut vm = machine.disk(Disk::empty(bench, "data", 96)?).boot(bench)?;
            lvm(&mut vm, ["/dev/vda", "/dev/vdb"])?;
            vm.off()
        },
    },
    Case {
        name: "open/md",
        about: "a mirror with a disk missing: read-only until --degraded, not a bit changes before",
        systems: &[System::Live],
        smoke: false,
        run: |bench| {
            let mut vm = live::machine(bench)?
                .disk(Disk::empty(bench, "md", 96)?)
                .boot(bench)?;
            md(&mut vm, "/dev/vda")?;
            vm.off()
        },
    },
    Case {
        name: "open/lvm-debian",
        about: "LUKS on LVM where udev activates LVM by itself",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let machine = debian::machine(bench).disk(Disk::empty(bench, "luks", 96)?);
            let mut vm = machine.disk(Disk::empty(bench, "data", 96)?).boot(bench)?;
            lvm(&mut vm, BY_ID)?;
            vm.off()
        },
    },
    Case {
        name: "open/md-debian",
        about: "a mirror with a disk missing where udev assembles by itself",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let mut vm = debian::machine(bench)
                .disk(Disk::empty(bench, "luks", 96)?)
                .boot(bench)?;
            // udev starts it for every array, and it ends when it likes.
            vm.ok("systemctl mask --runtime --now mdmonitor.service 2>&1")?;
            md(&mut vm, BY_ID[0])?;
            vm.off()
        },
    },
    Case {
        name: "open/guided",
        about: "the guided rescue over a serial line: report, shell, outside, finish",
        systems: &[System::Live],
        smoke: false,
        run: guided::guided,
    },
    Case {
        name: "open/killed-shell",
        about: "newroot killed under a shell in LVM in LUKS: cleanup closes it all",
        systems: &[System::Live],
        smoke: false,
        run: damage::killed_shell,
    },
    Case {
        name: "open/failing",
        about: "a disk with sectors that cannot be read: closed again, ddrescue named",
        systems: &[System::Live],
        smoke: false,
        run: damage::failing,
    },
    Case {
        name: "open/esp",
        about: "an ESP that fstab does not name is mounted by its type",
        systems: &[System::Live],
        smoke: false,
        run: esp,
    },
];

const BY_ID: [&str; 2] = ["/dev/disk/by-id/virtio-luks", "/dev/disk/by-id/virtio-data"];

/// Makes a small system on the device $1, called $2, with the fstab $3 and the crypttab $4.
const MAKE: &str = "make() {
    mkfs.ext4 -q $1 && mount $1 /mnt && mkdir -p /mnt/etc /mnt/bin /mnt/sbin /mnt/home /mnt/boot/efi &&
    echo ID=debian >/mnt/etc/os-release && echo $2 >/mnt/etc/hostname && : >/mnt/sbin/init &&
    echo \"$3\" >/mnt/etc/fstab && echo \"$4\" >/mnt/etc/crypttab && umount /mnt; }
    uuid() { blkid -p -s UUID -o value $1; }
    format() { cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $1 $2; }";

/// udev has noticed everything, where there is one.
const SETTLED: &str = "if command -v udevadm >/dev/null; then udevadm settle; fi";

fn seen(text: &str, wanted: &[&str]) -> Result<()> {
    for part in wanted {
        ensure!(text.contains(part), "no {part:?} in:\n{text}");
    }
    Ok(())
}

/// The word of `newroot scan` that begins like this.
fn word(vm: &mut Vm, begins: &str) -> Result<String> {
    let text = vm.ok("newroot scan 2>&1")?;
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(begins));
    ensure!(word.is_some(), "no {begins} in:\n{text}");
    Ok(word.unwrap_or_default().to_string())
}

/// LVM in LUKS, and a second volume whose key lies in the first.
fn luks(vm: &mut Vm, [luks, data]: [&str; 2]) -> Result<()> {
    vm.ok(&format!(
        "{MAKE}
         (set -e; printf secret >/tmp/key; printf other >/tmp/data
         format {luks} /tmp/key; format {data} /tmp/data
         cryptsetup open -d /tmp/data {data} d; mkfs.ext4 -q /dev/mapper/d; cryptsetup close d
         cryptsetup open -d /tmp/key {luks} vault
         lvm pvcreate -q /dev/mapper/vault; lvm vgcreate -q inner /dev/mapper/vault
         lvm lvcreate -q -l 15 -n root inner
         make /dev/inner/root secretive \"/dev/mapper/inner-root / ext4 defaults 0 1
/dev/mapper/home_crypt /home ext4 defaults 0 2\" \"root_crypt UUID=$(uuid {luks}) none luks
home_crypt UUID=$(uuid {data}) /etc/key luks\"
         mount /dev/inner/root /mnt; printf other >/mnt/etc/key; umount /mnt
         vgchange -q -a n inner; cryptsetup close vault; sync; newroot ps)
         {SETTLED}"
    ))?;
    let uuid = vm.ok(&format!("blkid -p -s UUID -o value {luks}"))?;
    let id = format!("luks-{}", &uuid.trim()[..4]);
    let before = vm.state()?;
    let plan = vm.ok(&format!("newroot -n mount {id}"))?;
    seen(&plan, &["cryptsetup open --readonly", "what comes next"])?;
    vm.same_as(&before)?;

    let done = vm.ok(&format!("newroot mount {id} --key-file /tmp/key 2>&1"))?;
    seen(
        &done,
        &["secretive", "READ-ONLY at /mnt", "/home  home_crypt ext4"],
    )?;
    let mapped = vm.ok("cat /sys/block/dm-*/dm/name; cat /proc/mounts /mnt/etc/hostname")?;
    seen(
        &mapped,
        &[
            "root_crypt",
            "home_crypt",
            "inner-root",
            "/mnt/home ext4 ro",
            "secretive",
        ],
    )?;
    seen(&vm.ok("newroot ps")?, &["stands", "/mnt"])?;
    seen(&vm.ok("newroot cleanup 2>&1")?, &["mounted on purpose"])?;
    vm.fails(1, "touch /mnt/x")?;
    // Somebody stands in the way, is named, and nothing is forced.
    vm.ok("cd /mnt/home; sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/tmp/pid; cd /")?;
    let held = vm.fails(122, "newroot umount secretive 2>&1")?;
    seen(&held, &["sleep", "working directory /mnt/home"])?;
    vm.ok("kill $(cat /tmp/pid); rm /tmp/pid; sleep 1")?;
    let closed = vm.ok("newroot umount secretive 2>&1")?;
    seen(&closed, &["This machine is as before"])?;
    vm.same_as(&before)?;

    // Asked in the terminal: a wrong one, the right one; then it is written to.
    vm.begin(&format!("newroot mount --read-write {id} /mnt/new"))?;
    vm.answer("Passphrase of luks-", "wrong")?;
    vm.answer("does not fit", "secret")?;
    let asked = vm.end(120)?;
    ensure!(asked.status == 0, "{}", asked.text);
    seen(&asked.text, &["read-write at /mnt/new"])?;
    vm.ok("echo new >/mnt/new/home/file; newroot umount /mnt/new; test ! -e /mnt/new")?;
    vm.same_as(&before)?;

    // What the user has opened and mounted by hand is completed, and left as found.
    vm.ok(&format!(
        "cryptsetup open -d /tmp/key {luks} mine; vgchange -q -a y inner; mount /dev/inner/root /mnt"
    ))?;
    let mine = vm.state()?;
    let done = vm.ok("newroot mount secretive 2>&1")?;
    seen(&done, &["as somebody mounted it", "/home  home_crypt ext4"])?;
    seen(&vm.ok("cat /mnt/home/file")?, &["new"])?;
    vm.ok("newroot umount /mnt")?;
    vm.same_as(&mine)?;
    vm.ok("umount /mnt; vgchange -q -a n inner; cryptsetup close mine")?;
    vm.same_as(&before)?;
    killed(vm, &id)?;
    vm.same_as(&before)
}

/// Killed at moments that fall into each layer: `cleanup` brings everything back.
fn killed(vm: &mut Vm, id: &str) -> Result<()> {
    let before = vm.state()?;
    for tenths in [3, 6, 9, 12, 16, 20, 26, 34] {
        let (whole, part) = (tenths / 10, tenths % 10);
        vm.ok(&format!(
            // A shell of its own: this one would tell of the job that was killed.
            "sh -c 'newroot mount {id} --key-file /tmp/key >/dev/null 2>&1 & pid=$!
             sleep {whole}.{part}; kill -9 $pid; wait $pid' 2>/dev/null
             newroot cleanup || exit 9; newroot umount /mnt 2>/dev/null; sleep 1"
        ))?;
        vm.same_as(&before)?;
    }
    Ok(())
}

fn lvm(vm: &mut Vm, [first, second]: [&str; 2]) -> Result<()> {
    vm.ok(&format!(
        "{MAKE}
         (set -e; printf secret >/tmp/key
         lvm pvcreate -q {first}; lvm vgcreate -q group {first}; lvm lvcreate -q -l 20 -n crypt group
         format /dev/group/crypt /tmp/key; cryptsetup open -d /tmp/key /dev/group/crypt c
         make /dev/mapper/c onlvm \"/dev/mapper/c / ext4 defaults 0 1\" \"c /dev/group/crypt none luks\"
         cryptsetup close c; vgchange -q -a n group; sync; newroot ps) && {SETTLED}"
    ))?;
    let before = vm.state()?;
    let id = word(vm, "luks-")?;
    let done = vm.ok(&format!("newroot mount {id} --key-file /tmp/key 2>&1"))?;
    seen(&done, &["onlvm", "/  c ext4"])?;
    vm.ok("newroot umount onlvm")?;
    vm.same_as(&before)?;

    // A copy of the disk brings a second group of that name: LVM makes one where it does not see
    // the first.
    vm.ok(&format!(
        "{MAKE}
         (set -e; only='devices/filter=[\"a|{second}|\",\"r|.*|\"]'
         lvm pvcreate -q {second} --config \"$only\"; lvm vgcreate -q group {second} --config \"$only\"
         lvm lvcreate -q -l 15 -n root group --config \"$only\"
         make /dev/group/root twin \"/dev/group/root / ext4 defaults 0 1\" \"\"
         lvm vgchange -q -a n group --config \"$only\"; sync) && {SETTLED}"
    ))?;
    // udev has links for the second disk now.
    let before = vm.state()?;
    let refused = vm.fails(125, "newroot mount twin 2>&1")?;
    seen(
        &refused,
        &[
            "several volume groups are called group",
            "vgimportclone",
            "vgrename",
        ],
    )?;
    vm.same_as(&before)
}

fn md(vm: &mut Vm, disk: &str) -> Result<()> {
    vm.ok(&format!(
        "{MAKE}
         (set -e; mdadm --create /dev/md/array --run --level=1 --raid-devices=2 {disk} missing
         make /dev/md/array mirrored \"/dev/md/array / ext4 defaults 0 1\" \"\"
         sync; mdadm --stop /dev/md/array; rm -f /dev/md/array /dev/md127; newroot ps)"
    ))?;
    let before = vm.state()?;
    let sum = vm.ok(&format!("cksum {disk} || md5sum {disk}"))?;
    let plan = vm.ok("newroot -n mount mirrored")?;
    seen(
        &plan,
        &[
            "mdadm --assemble --readonly --run /dev/md/array",
            "ro,noload /dev/md/array",
        ],
    )?;
    let done = vm.ok("newroot mount mirrored 2>&1; cat /proc/mdstat")?;
    seen(&done, &["READ-ONLY at /mnt", "[2/1]", "read-only"])?;
    vm.ok("newroot umount /mnt")?;
    vm.same_as(&before)?;
    ensure!(
        vm.ok(&format!("cksum {disk} || md5sum {disk}"))? == sum,
        "the member was written to"
    );
    let refused = vm.fails(125, "newroot mount --read-write mirrored 2>&1")?;
    seen(&refused, &["1 of 2 members", "--degraded"])?;
    vm.same_as(&before)?;
    vm.ok(
        "newroot mount --read-write --degraded mirrored && echo x >/mnt/new && newroot umount /mnt",
    )?;
    vm.same_as(&before)
}

/// A small system called `host`, as a directory to make a filesystem of.
fn tree(bench: &Bench, directories: &[&str], host: &str, fstab: &str) -> Result<PathBuf> {
    let tree = bench.file("tree");
    for directory in ["etc", "bin", "sbin"].iter().chain(directories) {
        std::fs::create_dir_all(tree.join(directory))?;
    }
    let release = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";
    for (name, text) in [
        ("etc/os-release", release),
        ("etc/hostname", &format!("{host}\n")),
        ("etc/fstab", fstab),
        ("sbin/init", ""),
    ] {
        std::fs::write(tree.join(name), text)?;
    }
    Ok(tree)
}

fn esp(bench: &Bench) -> Result<()> {
    let tree = tree(bench, &["boot/efi"], "booted", "# nothing\n")?;
    let loader = bench.file("loader");
    std::fs::create_dir_all(loader.join("EFI"))?;
    let (root, efi) = (bench.file("root"), bench.file("efi"));
    disk::filesystem(&root, Kind::Ext4, 64, Some(&tree))?;
    disk::filesystem(&efi, Kind::Vfat, 40, Some(&loader))?;
    let parts = [
        Partition {
            kind: "uefi",
            content: &efi,
        },
        Partition {
            kind: "linux",
            content: &root,
        },
    ];
    let disk = Disk::partitioned(bench, "disk", &parts)?;
    let mut vm = live::machine(bench)?.disk(disk).boot(bench)?;
    vm.ok("newroot ps")?;
    let before = vm.state()?;
    let done = vm.ok("newroot mount booted 2>&1")?;
    seen(&done, &["/boot/efi  vda1 vfat", "/  vda2 ext4"])?;
    seen(
        &vm.ok("ls /mnt/boot/efi; cat /proc/mounts")?,
        &["EFI", "/mnt/boot/efi vfat ro"],
    )?;
    vm.ok("newroot umount booted")?;
    vm.same_as(&before)?;
    vm.off()
}
