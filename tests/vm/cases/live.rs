//! The live system itself: what the other cases stand on.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::live;

pub(crate) const CASES: &[Case] = &[Case {
    name: "live/boots",
    about: "the exported initramfs boots, its root is the initramfs, newroot runs",
    system: System::Live,
    smoke: true,
    run: boots,
}];

fn boots(bench: &Bench) -> Result<()> {
    let mut vm = live::machine(bench)?.boot(bench)?;
    let root = vm.ok("stat -f -c %T /; cat /proc/mounts; lsmod; cat /proc/uptime")?;
    ensure!(root.contains("rootfs / rootfs"), "the root is no initramfs:\n{root}");
    let version = vm.ok("newroot --version")?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    vm.off()
}
