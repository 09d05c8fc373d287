//! The live system: an initramfs with newroot, the rescue tools and the drivers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::{self, Bench};
use crate::cpio::{self, Entry};
use crate::kernel::Kernel;
use crate::qemu::Machine;
use crate::tools;

/// Drivers that the live system brings, with what they need.
const MODULES: &[&str] = &[
    "virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net", "virtio_rng", "dm-mod", "dm-crypt", "dm-snapshot",
    "raid0", "raid1", "raid456", "btrfs", "xfs", "ext4", "vfat", "nls_ascii", "nls_cp437",
    "overlay", "loop", "squashfs", "isofs", "efivarfs",
];

const INIT: &str = include_str!("init.sh");

/// Makes the initramfs.
pub(crate) fn make(bench: &Bench) -> Result<()> {
    let kernel = Kernel::get(bench)?;
    let root = bench.file("root");
    for dir in ["bin", "etc", "usr/bin", "lib/modules"] {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox"))?;
    for applet in tools::run("busybox", &["--list"])?.lines() {
        if applet != "busybox" {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    fs::copy(bench::newroot(), root.join("usr/bin/newroot"))?;
    let base = kernel.root.display().to_string();
    for module in MODULES {
        let _ = tools::run("depmod", &["-b", &base, &kernel.version])?;
        let show = tools::run("modprobe", &["-d", &base, "-S", &kernel.version, "--show-depends", module])?;
        for path in show.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let path = path.split_whitespace().next().unwrap_or("");
            let inside = path.strip_prefix(&base).context("outside")?;
            let to = root.join(inside.trim_start_matches('/'));
            fs::create_dir_all(to.parent().context("parent")?)?;
            fs::copy(path, &to).with_context(|| format!("{path} {to:?}"))?;
        }
    }
    tools::run("depmod", &["-b", &root.display().to_string(), &kernel.version])?;
    let command = "find . | cpio -o -H newc --quiet >../live.cpio";
    tools::run_in(&root, "sh", &["-c", command])?;
    let mut image = fs::read(bench.file("live.cpio")).context("read the initramfs")?;
    let modules = MODULES.join("\n") + "\n";
    image.extend(cpio::archive(&[
        Entry { path: "init", mode: 0o100_755, content: INIT.as_bytes() },
        Entry { path: "etc/modules", mode: 0o100_644, content: modules.as_bytes() },
    ]));
    fs::write(path(bench), image).context("write the initramfs")
}

fn path(bench: &Bench) -> PathBuf {
    bench.cache.join("live.cpio")
}

/// A machine that boots it.
pub(crate) fn machine(bench: &Bench) -> Result<Machine> {
    let kernel = Kernel::get(bench)?;
    Ok(Machine {
        kernel: kernel.image(),
        initrd: path(bench),
        append: "console=ttyS1 panic=-1".to_string(),
        disks: Vec::new(),
        uefi: false,
    })
}

#[expect(dead_code)]
fn unused(_: &Path) {}
