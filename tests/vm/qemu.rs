//! A machine: what it is made of, and the QEMU process that is it.
//!
//! TCG only: where newroot is developed KVM guests hang.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::disk::Disk;
use crate::tools;

/// Where Debian's package ovmf has its firmware.
const OVMF: &str = "/usr/share/OVMF";

/// What to start. `Live::machine` and `debian::machine` begin one.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) append: String,
    pub(crate) disks: Vec<Disk>,
    pub(crate) uefi: bool,
}

impl Machine {
    /// One more disk: `/dev/vda`, then `vdb`…, and `/dev/disk/by-id/virtio-NAME` where udev is.
    pub(crate) fn disk(mut self, disk: Disk) -> Machine {
        self.disks.push(disk);
        self
    }

    /// Started by UEFI firmware, with variables that are forgotten afterwards.
    pub(crate) fn uefi(mut self) -> Machine {
        self.uefi = true;
        self
    }

    /// Starts it. The shell is on ttyS0, our end of which comes back; the kernel talks on ttyS1,
    /// into the file `kernel_log`, so that its messages never cut through a command's output.
    pub(crate) fn start(&self, kernel_log: &Path) -> Result<(Qemu, UnixStream)> {
        let (ours, theirs) = UnixStream::pair().context("socketpair")?;
        let input = OwnedFd::from(theirs.try_clone().context("dup")?);
        // setpriv: QEMU dies with this process, even when that is killed.
        let mut command = tools::command("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ]);
        command.args([
            "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024",
        ]);
        command.args([
            "-chardev",
            "stdio,id=shell,signal=off",
            "-serial",
            "chardev:shell",
        ]);
        command
            .arg("-serial")
            .arg(format!("file:{}", kernel_log.display()));
        command.args(["-device", "virtio-rng-pci"]);
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd);
        command.arg("-append").arg(&self.append);
        if self.uefi {
            let code =
                format!("if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd");
            let variables =
                format!("if=pflash,unit=1,format=raw,snapshot=on,file={OVMF}/OVMF_VARS_4M.fd");
            command.args(["-drive", &code, "-drive", &variables]);
        }
        for disk in &self.disks {
            command.args(disk.arguments());
        }
        command
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(OwnedFd::from(theirs)));
        command.stderr(Stdio::inherit());
        let child = command
            .spawn()
            .context("qemu-system-x86_64 does not start")?;
        Ok((Qemu { child }, ours))
    }

    /// Starts it and waits for the root shell.
    pub(crate) fn boot(self, bench: &Bench) -> Result<crate::vm::Vm> {
        crate::vm::Vm::boot(&self, bench)
    }
}

/// The process; killed on drop.
#[derive(Debug)]
pub(crate) struct Qemu {
    child: Child,
}

impl Qemu {
    /// Waits for its end; whether it was a good one.
    pub(crate) fn wait(mut self) -> Result<bool> {
        Ok(self.child.wait().context("wait for qemu")?.success())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // An error means that it has ended, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
