//! A directory that somebody named, or mounted by hand: taken as it is and left as it is.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use super::{Access, MountState, OpenMount, Opened};
use crate::cmd::target;
use crate::error::Failure;
use crate::model::{HostPath, RootPath};
use crate::probe::inventory::Inventory;
use crate::probe::mountinfo::{self, Mount};
use crate::probe::scan;
use crate::root::{self, Host};

/// Takes a directory as a target.
pub(super) fn adopt(typed: &HostPath) -> anyhow::Result<Opened> {
    let path = std::path::absolute(typed.as_path())
        .and_then(|path| root::canonical(&Host, &RootPath::new(path)))
        .map(|path| HostPath::new(path.as_path()))
        .map_err(|error| target::no_directory(typed, &error))?;
    let system = scan::directory(&path).map_err(|error| target::no_directory(&path, &error))?;
    let name = system.facts.hostname.clone().unwrap_or_else(|| {
        let last = path.as_path().file_name().unwrap_or_default();
        last.to_string_lossy().into_owned()
    });
    let is_system = system.facts.is_system();
    let read_only = is_read_only(path.as_path());
    Ok(Opened {
        name: if name.is_empty() { "/".into() } else { name },
        system: is_system.then_some(system),
        mounts: mounts_below(&path),
        root: path,
        access: if read_only {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        },
        adopted: true,
        warnings: Vec::new(),
        inventory: Inventory::default(),
        work: None,
    })
}

/// What somebody mounted read-only stays so.
pub(super) fn stays_read_only(root: &HostPath) -> Failure {
    Failure::new(
        format!("cannot write in {root}"),
        "it is mounted read-only, by whoever mounted it or by the kernel",
    )
    .hint(
        "if it may be written",
        format!("mount -o remount,rw {root}"),
    )
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|at| at.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// What is mounted at `root` and below, in depth order.
pub(super) fn mounts_below(root: &HostPath) -> Vec<OpenMount> {
    let table = mountinfo::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default());
    let mut mounts: Vec<OpenMount> = table
        .iter()
        .filter_map(|mount| {
            let inside = mount.mount_point.strip_prefix(root.as_path()).ok()?;
            Some(shown(mount, RootPath::new(inside)))
        })
        .collect();
    mounts.sort_by_key(|mount| mount.point.as_path().components().count());
    mounts
}

fn shown(mount: &Mount, point: RootPath) -> OpenMount {
    let source = mount.source.to_string_lossy();
    let read_only = [&mount.options, &mount.super_options]
        .iter()
        .any(|options| options.split(',').any(|option| option == "ro"));
    OpenMount {
        point,
        device: source.trim_start_matches("/dev/").to_string(),
        fs_type: mount.fs_type.clone(),
        state: MountState::Mounted { read_only },
    }
}
