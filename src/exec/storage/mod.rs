//! Storage: what stands between a disk and a mounted tree, put together and taken apart again.
//!
//! [`Storage`] does the [`StorageOp`]s of a plan and their inverses. What outlives the process is
//! in the session's record before it is done. Mounts are made on descriptors; nothing is ever
//! unmounted lazily, and a device is proven free before what lies below it is closed.

mod arrays;
mod groups;
mod leftover;
mod loops;
mod mounts;
mod stack;
mod verify;

pub(super) use leftover::undo;
pub(super) use stack::{take_off, tidy_nodes, wait_for_tools};
pub use verify::{mount_points, settle};

use super::luks::{self, Key, LuksError, Unlocked};
use super::{ExecError, Holder, Machine};
use crate::model::{HostPath, RootPath};
use crate::plan::storage::Crypt;
use crate::plan::{Op, Step, StorageOp};
use crate::root::InRoot;
use crate::session::{ItemId, Live};

/// Where keys come from.
pub trait Keys {
    /// The next key to try for `crypt`, after `refused` did not fit. `None`: there are no more.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn next(&mut self, crypt: &Crypt, refused: usize) -> Result<Option<Key>, ExecError>;

    /// This one fitted.
    fn fits(&mut self, crypt: &Crypt, key: &Key);
}

/// What was put together so far.
#[derive(Debug, Default)]
pub struct Parts {
    loops: Vec<loops::Attached>,
    items: Vec<(StorageOp, ItemId)>,
    crypts: Vec<(Crypt, Unlocked)>,
    mounts: Vec<mounts::Made>,
    /// The target's `/`.
    root: Option<InRoot>,
    /// The filesystem that a deployment lies in.
    physical: Option<InRoot>,
    /// Who keeps something open.
    pub holders: Vec<Holder>,
    /// What was done otherwise than planned.
    pub notes: Vec<String>,
    /// Devices that were proven free, as people call them.
    pub freed: Vec<String>,
    /// Devices of which nothing of ours is left, and that somebody else took since; who.
    pub taken: Vec<String>,
}

impl Parts {
    /// The target's `/`, while it is mounted.
    #[must_use]
    pub fn root(&self) -> Option<&InRoot> {
        self.root.as_ref()
    }

    /// Takes a directory that somebody else mounted as the target's `/`.
    pub fn adopt(&mut self, root: InRoot) {
        self.root = Some(root);
    }

    /// The nodes of the loop devices, each with the part it is made of.
    pub fn attached(
        &self,
    ) -> impl Iterator<Item = (&std::path::Path, &crate::plan::storage::LoopPart)> {
        let loops = self.loops.iter();
        loops.map(|attached| (attached.device.path.as_path(), &attached.part))
    }

    /// How many mounts there are.
    #[must_use]
    pub fn count_mounts(&self) -> usize {
        self.mounts.len()
    }

    /// Where a mount is, of the places that it may have.
    #[must_use]
    pub fn point_of(&self, mounted: &crate::plan::storage::Mounted) -> Option<RootPath> {
        mounts::point_of(&self.mounts, mounted)
    }

    /// The name that an encrypted volume of this session has now.
    #[must_use]
    pub fn name_of(&self, crypt: &Crypt) -> Option<String> {
        let (_, unlocked) = self.crypts.iter().find(|(known, _)| known == crypt)?;
        luks::current(&unlocked.name)
    }
}

/// Does storage operations.
pub struct Storage<'s> {
    /// What was put together.
    pub parts: &'s mut Parts,
    /// The record.
    pub live: &'s mut Live,
    /// Where keys come from.
    pub keys: &'s mut dyn Keys,
}

impl std::fmt::Debug for Storage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage")
            .field("parts", self.parts)
            .finish()
    }
}

impl Machine for Storage<'_> {
    fn perform(&mut self, step: &Step) -> Result<(), ExecError> {
        let Op::Storage(op) = &step.op else {
            return Err(ExecError::Other("no operation on storage".to_string()));
        };
        match op {
            StorageOp::Attach(part) => loops::attach(self, part),
            StorageOp::Detach(part) => loops::detach(self, part),
            StorageOp::Assemble(array) => arrays::assemble(self, array),
            StorageOp::Stop(array) => arrays::stop(self, array),
            StorageOp::Unlock(crypt) => self.unlock(crypt),
            StorageOp::Lock(crypt) => self.lock(crypt),
            StorageOp::Rename { crypt, name } => self.rename(crypt, name),
            StorageOp::Activate(group) => groups::activate(self, group),
            StorageOp::Deactivate(group) => groups::deactivate(self, group),
            StorageOp::MakeRoot(path) => mounts::make_root(self, path),
            StorageOp::RemoveRoot(path) => mounts::remove_root(self, path),
            StorageOp::Mount(mount) => mounts::mount(self, mount, &step.base),
            StorageOp::Unmount(mount) => mounts::unmount(self, mount),
        }
    }
}

impl Storage<'_> {
    fn unlock(&mut self, crypt: &Crypt) -> Result<(), ExecError> {
        let name = format!("newroot-{}-{}", self.live.id(), crypt.id);
        let access = if crypt.read_only {
            luks::Access::ReadOnly
        } else {
            luks::Access::ReadWrite {
                discards: crypt.discards,
            }
        };
        let mut refused = 0;
        while let Some(key) = self.keys.next(crypt, refused)? {
            match luks::unlock(self.live, &crypt.device, name.clone(), &key, access) {
                Ok(unlocked) => {
                    self.keys.fits(crypt, &key);
                    self.parts.crypts.push((crypt.clone(), unlocked));
                    return Ok(());
                }
                Err(LuksError::Refused) => refused += 1,
                Err(error) => return Err(ExecError::Other(error.to_string())),
            }
        }
        Err(ExecError::NoKey)
    }

    fn lock(&mut self, crypt: &Crypt) -> Result<(), ExecError> {
        let crypts = &mut self.parts.crypts;
        let Some(at) = crypts.iter().position(|(known, _)| known == crypt) else {
            return Ok(());
        };
        let (_, unlocked) = crypts.remove(at);
        settle();
        luks::lock(self.live, unlocked).map_err(|error| ExecError::Other(error.to_string()))
    }

    fn rename(&mut self, crypt: &Crypt, name: &str) -> Result<(), ExecError> {
        let crypts = &mut self.parts.crypts;
        let Some((_, unlocked)) = crypts.iter_mut().find(|(known, _)| known == crypt) else {
            return Ok(());
        };
        luks::rename(unlocked, name).map_err(|error| ExecError::Other(error.to_string()))
    }

    /// Remembers the record's item for what undoes `op`.
    fn remember(&mut self, inverse: StorageOp, item: ItemId) {
        self.parts.items.push((inverse, item));
    }

    /// What undoes it was done.
    fn forget(&mut self, inverse: &StorageOp) -> Result<(), ExecError> {
        let items = &mut self.parts.items;
        if let Some(at) = items.iter().position(|(known, _)| known == inverse) {
            let (_, item) = items.remove(at);
            self.live.forget(item).map_err(recorded)?;
        }
        Ok(())
    }
}

/// A record that could not be written.
fn recorded(error: crate::session::SessionError) -> ExecError {
    ExecError::Other(error.to_string())
}

/// A name of the target for errors.
fn shown(root: &HostPath, inside: &RootPath) -> String {
    root.show_inside(inside).display().to_string()
}
