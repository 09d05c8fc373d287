//! Mounts everything of a target, and looks at what that brought to light.

use super::gather::Look;
use super::refusal;
use super::work::{Work, stop_on};
use super::{MountState, OpenMount, Visible};
use crate::error::Failure;
use crate::exec::ExecError;
use crate::model::{HostPath, RootPath};
use crate::plan::StorageOp;
use crate::plan::open::{self as plan, Left, Mounts, Refusal, Why};
use crate::plan::storage::What;
use crate::probe::inventory::Inventory;
use crate::probe::kernel_log;
use crate::probe::system::System;
use crate::probe::target::Name;
use crate::root::{InRoot, Tree};
use crate::session::Live;
use crate::sys::signal::Held;
use crate::ui::Ui;

/// How hiberfil.sys begins while it holds a system's memory.
const HIBERNATED: &[u8] = b"hibr";

/// What the last look and the mounts gave.
pub(super) struct Ready {
    pub(super) system: System,
    pub(super) inventory: Inventory,
    pub(super) mounts: Vec<OpenMount>,
    pub(super) adopted: bool,
    pub(super) writable: bool,
}

impl Work {
    pub(super) fn mount_all(
        &mut self,
        mounts: Mounts,
        look: &Look,
        live: &mut Live,
        ui: &Ui,
        signals: &Held,
    ) -> anyhow::Result<Ready> {
        let Some(system) = look.system() else {
            return Err(self.refused(&Refusal::Nothing, look).into());
        };
        live.set_target(self.names(look, system), self.root.as_path())?;
        self.warnings.extend(mounts.warnings);
        let in_place = mounts.adopted.is_some() && matches!(self.visible, Visible::Host(_));
        if in_place {
            self.parts.adopt(InRoot::open(&self.root)?);
        } else {
            self.prepare_root(live, ui)?;
        }
        let mut shown: Vec<OpenMount> = mounts.left.into_iter().map(left).collect();
        let mut writable = !in_place || !is_read_only(&self.root);
        for mount in mounts.list {
            stop_on(signals)?;
            let point = mount.mount.point();
            let read_only = mount.mount.flags.read_only;
            let is_root = point == RootPath::root();
            let op = StorageOp::Mount(mount.mount.clone());
            let state = match self.apply(op.clone(), live, ui) {
                Ok(()) => {
                    writable &= !is_root || !is_read_only(&self.root);
                    self.look_for_windows(&mount, look);
                    MountState::Mounted { read_only }
                }
                Err(error @ ExecError::Interrupted(_)) => return Err(error.into()),
                Err(error) if is_root => return Err(self.failed(&op, error).into()),
                Err(ExecError::NoMountPoint { .. }) if mount.mount.only_empty => {
                    MountState::Skipped("no empty directory is there for it".to_string())
                }
                Err(error) => {
                    let why = why_not(&error, &mount.fs_type);
                    self.warnings.push(format!("{}: {why}", mount.mount.shown));
                    MountState::Missing(why)
                }
            };
            if !matches!(mount.mount.what, What::Deployment(_)) {
                shown.push(OpenMount {
                    point: self.parts.point_of(&mount.mount).unwrap_or(point),
                    device: mount.mount.shown,
                    fs_type: mount.fs_type,
                    state,
                });
            }
        }
        shown.sort_by_key(|mount| mount.point.as_path().components().count());
        self.warnings.append(&mut self.parts.notes);
        self.look_at_disk(look, system)?;
        Ok(Ready {
            system: system.clone(),
            inventory: look.found.inventory.clone(),
            mounts: shown,
            adopted: mounts.adopted.is_some(),
            writable,
        })
    }

    /// The directory that is mounted on.
    fn prepare_root(&mut self, live: &mut Live, ui: &Ui) -> anyhow::Result<()> {
        match std::fs::symlink_metadata(self.root.as_path()) {
            Ok(_) => Ok(()),
            Err(_) => {
                let op = StorageOp::MakeRoot(self.root.clone());
                self.apply(op.clone(), live, ui)
                    .map_err(|error| self.failed(&op, error).into())
            }
        }
    }

    /// Windows that shut down fast is hibernated, and its volume not marked as dirty.
    fn look_for_windows(&mut self, mount: &plan::Mount, look: &Look) {
        let Some(index) = mount.volume.filter(|_| mount.fs_type == "ntfs") else {
            return;
        };
        let file = mount.mount.point().join("hiberfil.sys");
        let root = self.parts.root();
        let mut begins = [0; HIBERNATED.len()];
        let read = root.and_then(|tree| tree.open(&file).ok()?.read_at(&mut begins, 0).ok());
        if read.is_some() && begins.eq_ignore_ascii_case(HIBERNATED) {
            let uuid = &look.found.inventory.volumes[index].superblock.uuid;
            self.windows.push(uuid.clone());
        }
    }

    /// Errors that the kernel saw on the target's disks, before now or while this was mounted.
    fn look_at_disk(&mut self, look: &Look, system: &System) -> Result<(), Failure> {
        let Some(index) = system.volume() else {
            return Ok(());
        };
        let disks = &look.found.inventory.volumes[index].disks;
        let lines = kernel_log::disk_errors(disks);
        if lines.is_empty() {
            return Ok(());
        }
        if !self.choices.failing_disk {
            return Err(refusal::failing_disk(&self.typed, disks, &lines));
        }
        let line = format!("the kernel reports errors of {}", disks.join(", "));
        self.warnings.push(line);
        Ok(())
    }

    /// What people may call it later, for `umount`.
    fn names(&self, look: &Look, system: &System) -> Vec<String> {
        let mut names = vec![system.id.clone()];
        names.extend(system.facts.hostname.clone());
        if let Some(index) = system.volume() {
            let volume = &look.found.inventory.volumes[index];
            // The number of a loop device is somebody else's tomorrow.
            if volume.part.is_none() && self.tried.attached.is_empty() {
                names.push(volume.path.display().to_string());
            }
            names.push(format!("UUID={}", volume.superblock.uuid));
            if !volume.superblock.label.is_empty() {
                names.push(format!("LABEL={}", volume.superblock.label));
            }
        }
        if let Some(Name::Image(path) | Name::Device(path)) = &self.name {
            names.push(path.display().to_string());
        }
        names.push(self.typed.clone());
        names
    }
}

fn left(left: Left) -> OpenMount {
    OpenMount {
        point: left.point,
        device: left.device,
        fs_type: left.fs_type,
        state: match left.why {
            Why::Missing(why) => MountState::Missing(why),
            Why::Skipped(why) => MountState::Skipped(why),
        },
    }
}

fn is_read_only(path: &HostPath) -> bool {
    use rustix::fs::StatVfsMountFlags;
    rustix::fs::statvfs(path.as_path())
        .is_ok_and(|at| at.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// fsopen(2) of a type without a driver says ENODEV, and names no driver.
fn why_not(error: &ExecError, fs_type: &str) -> String {
    match error {
        ExecError::Sys(error)
            if error.call == "fsopen" && error.errno == rustix::io::Errno::NODEV =>
        {
            // ntfs-3g is a process that would live in the session's namespaces and hold them.
            if fs_type == "ntfs" {
                return "this kernel has no NTFS driver (ntfs3); by hand, with the package ntfs-3g: \
                        ntfs-3g -o ro DEVICE DIR"
                    .to_string();
            }
            format!("this kernel has no {fs_type} driver (if it is a module: modprobe {fs_type})")
        }
        _ => error.to_string(),
    }
}
