//! The bigger live system: what a rescue from an ordinary Debian stands on.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::debian;
use crate::disk::Disk;

pub(crate) const CASES: &[Case] = &[Case {
    name: "debian/boots",
    about: "systemd is up and content, udev knows the disks, newroot runs",
    systems: &[System::Debian],
    smoke: false,
    run: boots,
}];

fn boots(bench: &Bench) -> Result<()> {
    let spare = Disk::empty(bench, "spare", 64)?;
    let mut vm = debian::machine(bench).disk(spare).boot(bench)?;
    let state = vm.sh("systemctl is-system-running --wait; systemctl --failed --no-legend")?;
    ensure!(
        state.text.trim() == "running",
        "systemd is not content:\n{}",
        state.text
    );
    let link = vm.ok("readlink /dev/disk/by-id/virtio-spare")?;
    ensure!(
        link.trim() == "../../vdc",
        "udev does not know the disk: {link}"
    );
    let version = vm.ok("newroot --version; cat /proc/uptime")?;
    ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    vm.off()
}
