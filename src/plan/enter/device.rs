//! /dev: the host's, or a minimal one.

use std::path::PathBuf;

use super::{Builder, Devices, new, with_options};
use crate::model::{HostPath, Kind, MountFlags, RootPath};
use crate::plan::{BindSource, FileOp, MountOp};

/// Harmless nodes: name, major, minor (admin-guide/devices.txt).
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The group that owns terminals, by number, everywhere that has one.
const TTY_GROUP: &str = "5";

pub(super) fn build(plan: &mut Builder<'_>) {
    if plan.is_taken("/dev") {
        return;
    }
    match plan.facts.devices {
        Devices::Host => plan.host_bind("/dev", false),
        Devices::Minimal => minimal(plan),
    }
}

fn minimal(plan: &mut Builder<'_>) {
    let flags = MountFlags {
        no_suid: true,
        no_exec: true,
        ..MountFlags::default()
    };
    plan.mount(with_options(
        new("tmpfs", "newroot", flags, "/dev"),
        &[("mode", "755")],
    ));
    for (name, major, minor) in NODES {
        node(plan, name, major, minor);
    }
    for (name, target) in LINKS {
        plan.file(FileOp::Symlink {
            path: RootPath::new("/dev").join(name),
            target: PathBuf::from(target),
        });
    }
    plan.directory("/dev/pts", 0o755);
    let mut options = vec![("newinstance", ""), ("ptmxmode", "0666"), ("mode", "620")];
    if plan.facts.privileged {
        // In a user namespace of one id there is no such group.
        options.push(("gid", TTY_GROUP));
    }
    plan.mount(with_options(
        new("devpts", "devpts", flags, "/dev/pts"),
        &options,
    ));
    plan.directory("/dev/shm", 0o1777);
    let flags = MountFlags {
        no_suid: true,
        no_dev: true,
        ..MountFlags::default()
    };
    plan.mount(with_options(
        new("tmpfs", "newroot", flags, "/dev/shm"),
        &[("mode", "1777")],
    ));
}

/// mknod(2) needs a privilege that no user namespace gives; there the host's node is bound.
fn node(plan: &mut Builder<'_>, name: &str, major: u32, minor: u32) {
    let path = RootPath::new("/dev").join(name);
    if plan.facts.privileged {
        plan.file(FileOp::Node {
            path,
            kind: Kind::CharDevice,
            major,
            minor,
            mode: 0o666,
        });
        return;
    }
    plan.file(FileOp::Write {
        path: path.clone(),
        bytes: Vec::new(),
        mode: 0o666,
    });
    plan.mount(MountOp::Bind {
        source: BindSource::Host(HostPath::new("/dev").join(name)),
        target: path,
        recursive: false,
        read_only: false,
        over_link: false,
    });
}
