//! The live system: an initramfs that newroot makes of the profile `rescue-tools`, of itself and
//! of the drivers. That it can is a test already.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::bench::{self, Bench};
use crate::kernel::Kernel;
use crate::qemu::Machine;
use crate::tools;

/// Programs besides those of the profile: for `init.sh`, and for what the cases ask.
const PROGRAMS: &[&str] = &[
    "mkdir",
    "modprobe",
    "pivot_root",
    "setpriv",
    "setsid",
    "stty",
    "unshare",
];

/// Drivers to bring and load. The ciphers of LUKS are modules of their own that nothing depends on:
/// the kernel asks for them by alias. efivarfs is loaded where there is UEFI.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "virtio_net",
    "virtio_rng",
    "dm-mod",
    "dm-crypt",
    "xts",
    "cbc",
    "ecb",
    "essiv",
    "algif_skcipher",
    "dm-snapshot",
    "raid0",
    "raid1",
    "raid456",
    "btrfs",
    "xfs",
    "ext4",
    "vfat",
    "nls_ascii",
    "nls_cp437",
    "overlay",
    "loop",
    "squashfs",
    "isofs",
];

const INIT: &str = "/usr/sbin/live-init";

/// Makes the initramfs.
pub(crate) fn make(bench: &Bench) -> Result<()> {
    let kernel = Kernel::get(bench)?;
    let jail = bench.file("live");
    let mut build = newroot(&["jail", "build", "--profile", "rescue-tools"]);
    tools::output(build.arg(&jail).args(PROGRAMS))?;
    add(&jail, INIT, include_bytes!("init.sh"), 0o755)?;
    add(
        &jail,
        "/etc/modules",
        format!("{}\n", MODULES.join("\n")).as_bytes(),
        0o644,
    )?;
    let binary = fs::read(bench::newroot()).context("read newroot")?;
    add(&jail, "/usr/sbin/newroot", &binary, 0o755)?;
    let modules = format!(
        "--modules={}:efivarfs:{}",
        kernel.version,
        MODULES.join(":")
    );
    let image = bench.file("live.cpio");
    let mut export = newroot(&[
        "jail", "export", "--format", "cpio", "--init", INIT, &modules,
    ]);
    tools::output(
        export
            .arg("--from")
            .arg(&kernel.root)
            .arg(&jail)
            .arg(&image),
    )?;
    fs::rename(image, path(bench)).context("keep the initramfs")
}

/// A machine that boots it.
pub(crate) fn machine(bench: &Bench) -> Result<Machine> {
    Ok(Machine {
        kernel: Kernel::get(bench)?.image(),
        initrd: path(bench),
        append: "console=ttyS1 panic=-1".to_string(),
        disks: Vec::new(),
        uefi: false,
    })
}

fn path(bench: &Bench) -> PathBuf {
    bench.cache.join("live.cpio")
}

fn newroot(arguments: &[&str]) -> std::process::Command {
    let program = bench::newroot();
    let mut command = tools::command(program.as_os_str());
    command.args(arguments);
    command
}

/// What a user would do with cp: the jail is a directory like any other.
fn add(jail: &Path, path: &str, content: &[u8], mode: u32) -> Result<()> {
    let file = jail.join(path.trim_start_matches('/'));
    fs::write(&file, content).with_context(|| format!("write {}", file.display()))?;
    fs::set_permissions(&file, Permissions::from_mode(mode))
        .with_context(|| format!("chmod {}", file.display()))
}
