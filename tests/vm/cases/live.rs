//! The live system itself: what the other cases stand on.

use anyhow::{Result, ensure};

use crate::case::{Case, System};
use crate::live;
use crate::vm::Vm;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "live/boots",
        about: "the exported initramfs boots, its root is the initramfs, newroot runs, all drivers load",
        systems: &[System::Live],
        smoke: true,
        run: |bench| {
            let mut vm = live::machine(bench)?.boot(bench)?;
            healthy(&mut vm)?;
            vm.fails(1, "test -e /sys/firmware/efi")?;
            vm.off()
        },
    },
    Case {
        name: "live/uefi",
        about: "the same started by UEFI; its variables are there",
        systems: &[System::Live],
        smoke: false,
        run: |bench| {
            let mut vm = live::machine(bench)?.uefi().boot(bench)?;
            healthy(&mut vm)?;
            let variables = vm.ok("ls /sys/firmware/efi/efivars")?;
            ensure!(
                variables.contains("BootOrder-"),
                "no variables:\n{variables}"
            );
            vm.off()
        },
    },
];

fn healthy(vm: &mut Vm) -> Result<()> {
    let mounts = vm.ok("cat /proc/mounts")?;
    ensure!(
        mounts.contains("rootfs / rootfs"),
        "the root is no initramfs:\n{mounts}"
    );
    let refused = vm.ok("cat /run/modules-refused")?;
    ensure!(refused.is_empty(), "drivers that do not load:\n{refused}");
    let version = vm.ok("newroot --version")?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    Ok(())
}
