//! The unified cgroup hierarchy, which the machine newroot is developed on does not have.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::case::{Case, System};
use crate::{debian, live};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "cgroup/live",
        about: "cgroup v2 shows every controller that newroot sets, and gives it to a child",
        systems: &[System::Live],
        smoke: true,
        run: in_live,
    },
    Case {
        name: "cgroup/debian",
        about: "the same below systemd",
        systems: &[System::Debian],
        smoke: false,
        run: |bench| {
            let mut vm = debian::machine(bench).boot(bench)?;
            let seen = vm.ok("cat /sys/fs/cgroup/cgroup.controllers")?;
            all_there(&seen)
        },
    },
];

fn in_live(bench: &Bench) -> Result<()> {
    let mut vm = live::machine(bench)?.boot(bench)?;
    all_there(&vm.ok("cat /sys/fs/cgroup/cgroup.controllers")?)?;
    let below = vm.ok(
        "cd /sys/fs/cgroup; echo +cpu +memory +pids +io >cgroup.subtree_control; mkdir one
         cat one/cgroup.controllers; ls one; rmdir one; echo -cpu -memory -pids -io >cgroup.subtree_control",
    )?;
    all_there(&below)?;
    for file in ["memory.max", "pids.max", "cpu.max", "cgroup.kill"] {
        ensure!(
            below.lines().any(|line| line.contains(file)),
            "no {file}:\n{below}"
        );
    }
    vm.off()
}

fn all_there(controllers: &str) -> Result<()> {
    for wanted in ["cpu", "memory", "pids", "io"] {
        let there = controllers.split_whitespace().any(|name| name == wanted);
        ensure!(there, "no {wanted} controller: {controllers}");
    }
    Ok(())
}
