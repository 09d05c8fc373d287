//! The bigger live system: a real Debian with systemd and udev on a disk, root logged in on ttyS0.
//!
//! It is made once and kept for as long as its recipe is the same; what a case writes to it is
//! thrown away. newroot comes on a disk of its own, so that a new binary costs nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::bench::{self, Bench};
use crate::disk::{self, Disk, Kind};
use crate::qemu::Machine;
use crate::tools;

const SUITE: &str = "bookworm";
const PACKAGES: &str = "systemd-sysv,udev,dbus,linux-image-amd64,initramfs-tools,cryptsetup,lvm2,\
    mdadm,btrfs-progs,xfsprogs,dosfstools,e2fsprogs,fdisk,kmod,procps,psmisc,iproute2,strace,git,\
    python3-minimal";

/// The size of its disk; the file is sparse.
const MIB: u64 = 2048;

/// Without these the kernel's hook packs every driver there is, and unpacking takes its time.
/// The files have to be there before the kernel package is configured.
const FEW_MODULES: &str = r#"mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d" &&
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/vm" &&
printf 'virtio_pci\nvirtio_blk\next4\n' >"$1/usr/share/initramfs-tools/modules.d/vm""#;

/// `(path, content)` of files laid over what the packages bring.
const FILES: &[(&str, &str)] = &[
    ("etc/hostname", "debian-live\n"),
    ("etc/hosts", "127.0.0.1 localhost debian-live\n"),
    (
        "etc/fstab",
        "LABEL=debian-live / ext4 defaults 0 1\n\
         LABEL=newroot /opt/newroot ext4 ro,nofail,x-systemd.device-timeout=60s 0 0\n",
    ),
    (
        "etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf",
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud %I linux\n",
    ),
    ("root/.hushlogin", ""),
    (
        "root/.profile",
        "mesg n\necho @live-system-is-up@\nexec sh\n",
    ),
];

/// Units that only cost time, or that write where a case looks.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "serial-getty@ttyS1.service",
    "getty@tty1.service",
];

/// Makes it, unless it is there.
pub(crate) fn make(bench: &Bench) -> Result<()> {
    let recipe = format!("{SUITE} {PACKAGES} {MIB}\n{FEW_MODULES}\n{FILES:#?}\n{MASKED:#?}\n");
    let place = place(bench);
    if fs::read_to_string(place.join("recipe")).is_ok_and(|known| known == recipe) {
        return newroot_disk(bench);
    }
    ensure!(
        rustix::process::geteuid().is_root(),
        "mmdebstrap and mke2fs -d need root here"
    );
    let tree = bench.file("tree");
    bootstrap(&tree)?;
    furnish(&tree)?;
    let fresh = bench.file("debian");
    fs::create_dir(&fresh).context("make the directory")?;
    for (from, to) in [("vmlinuz-", "kernel"), ("initrd.img-", "initrd")] {
        fs::copy(only(&tree.join("boot"), from)?, fresh.join(to)).context("keep the kernel")?;
    }
    disk::filesystem(&fresh.join("debian-live"), Kind::Ext4, MIB, Some(&tree))?;
    fs::write(fresh.join("recipe"), recipe).context("keep the recipe")?;
    if fs::metadata(&place).is_ok() {
        fs::remove_dir_all(&place).context("remove the old one")?;
    }
    fs::rename(&fresh, &place).context("keep it")?;
    newroot_disk(bench)
}

/// A machine that boots it; `/dev/vda` and `vdb` are taken.
pub(crate) fn machine(bench: &Bench) -> Machine {
    let place = place(bench);
    Machine {
        kernel: place.join("kernel"),
        initrd: place.join("initrd"),
        append: "root=/dev/vda rw console=ttyS1 panic=-1".to_string(),
        disks: vec![
            Disk::kept("system", &image(bench)),
            Disk::kept("newroot", &bench.cache.join("newroot")),
        ],
        uefi: false,
    }
}

/// The disk of it, to be seen from another system.
pub(crate) fn image(bench: &Bench) -> PathBuf {
    place(bench).join("debian-live")
}

fn place(bench: &Bench) -> PathBuf {
    bench.cache.join("debian")
}

fn bootstrap(tree: &Path) -> Result<()> {
    // mmdebstrap mounts /proc and /dev into the tree: in a namespace that goes with it.
    let mut command = tools::command("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args([
        "--propagation",
        "private",
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
    ]);
    command.args(["--dpkgopt=path-exclude=/usr/share/doc/*"]);
    command.args(["--dpkgopt=path-exclude=/usr/share/man/*"]);
    command.args(["--dpkgopt=path-exclude=/usr/share/locale/*"]);
    command.arg(format!("--include={PACKAGES}"));
    command.arg(format!("--essential-hook={FEW_MODULES}"));
    command.arg(SUITE).arg(tree);
    tools::output(&mut command).map(drop)
}

fn furnish(tree: &Path) -> Result<()> {
    for (path, content) in FILES {
        let path = tree.join(path);
        let parent = path.parent().unwrap_or(tree);
        fs::create_dir_all(parent).with_context(|| format!("mkdir {}", parent.display()))?;
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    let units = tree.join("etc/systemd/system");
    for unit in MASKED {
        symlink("/dev/null", units.join(unit)).with_context(|| format!("mask {unit}"))?;
    }
    let wanted = units.join("getty.target.wants");
    fs::create_dir_all(&wanted).context("make getty.target.wants")?;
    symlink(
        "/lib/systemd/system/serial-getty@.service",
        wanted.join("serial-getty@ttyS0.service"),
    )
    .context("enable the shell on ttyS0")?;
    fs::create_dir_all(tree.join("opt/newroot")).context("make /opt/newroot")?;
    symlink("/opt/newroot/newroot", tree.join("usr/local/bin/newroot")).context("link newroot")
}

fn newroot_disk(bench: &Bench) -> Result<()> {
    let tree = bench.file("newroot-tree");
    fs::create_dir_all(&tree).context("make the directory")?;
    fs::copy(bench::newroot(), tree.join("newroot")).context("copy newroot")?;
    let image = bench.file("newroot");
    disk::filesystem(&image, Kind::Ext4, 128, Some(&tree))?;
    fs::rename(image, bench.cache.join("newroot")).context("keep newroot's disk")
}

/// The one file of a directory whose name begins like this.
fn only(directory: &Path, prefix: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(directory).context("read the directory")? {
        let entry = entry.context("read the directory")?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    anyhow::bail!("{} holds no {prefix}*", directory.display())
}
