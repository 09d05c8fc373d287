//! How a target is opened: what is known so far and what the user chose lead to the next thing to
//! do; then one looks again. Pure: `cmd` loops look, [`next`], apply over one undo stack.
//!
//! The order is that of a boot: parts of images become devices, arrays are assembled, encrypted
//! volumes opened, groups activated, and what stands on them is looked at anew; at last the root
//! and its whole fstab are mounted.

mod layers;
mod mounts;
mod network;
mod options;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::StorageOp;
use super::storage::{Crypt, Mounted};
use crate::model::{HostPath, RootPath};
use crate::probe::busy::Holder;
use crate::probe::inventory::Inventory;
use crate::probe::scan::{Apart, Locked};
use crate::probe::system::System;
use crate::probe::target::Choice;

/// What is known.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// Everything that may hold a filesystem.
    pub inventory: &'f Inventory,
    /// The systems found.
    pub systems: &'f [System],
    /// What is locked.
    pub locked: &'f [Locked],
    /// What is not put together.
    pub apart: &'f [Apart],
    /// What the TARGET leads to.
    pub choice: &'f Choice,
    /// What was done or given up already.
    pub tried: &'f Tried,
    /// What is wrong with volumes, by index.
    pub troubles: &'f [(usize, Trouble)],
    /// Where the target's `/` will be.
    pub root: &'f HostPath,
    /// Mount points of the caller's mount namespace.
    pub mounted: &'f [PathBuf],
}

/// What was done or given up: it is not tried again.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Files and disks whose parts have devices.
    pub attached: BTreeSet<PathBuf>,
    /// UUIDs of arrays.
    pub arrays: BTreeSet<String>,
    /// UUIDs of groups.
    pub groups: BTreeSet<String>,
    /// Volumes that this session opened, and the name each has now.
    pub unlocked: Vec<(Crypt, String)>,
    /// LUKS UUIDs for which there is no key.
    pub given_up: BTreeSet<String>,
    /// LUKS UUIDs whose name is settled.
    pub named: BTreeSet<String>,
}

impl Tried {
    /// Whether nothing was put together.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attached.is_empty() && self.arrays.is_empty() && self.groups.is_empty()
    }
}

/// What is wrong with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// ext4: files that were deleted while open; a read-only mount would take them away.
    Orphans,
    /// Its superblock says that the filesystem has errors.
    Errors,
    /// NTFS that Windows did not leave clean.
    DirtyNtfs,
}

/// What the user chose.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Choices {
    /// Read-write.
    pub write: bool,
    /// The mounts show in the caller's mount namespace.
    pub lasting: bool,
    /// `--noauto`
    pub noauto: bool,
    /// `--network`
    pub network: bool,
    /// `--discard-hibernation`
    pub discard_hibernation: bool,
    /// `--dirty-ntfs`
    pub dirty_ntfs: bool,
    /// `--degraded`
    pub degraded: bool,
    /// `--filesystem-errors`
    pub filesystem_errors: bool,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Do this, then look again.
    Do {
        /// In this order.
        steps: Vec<StorageOp>,
        /// Without it the root cannot be reached.
        required: bool,
    },
    /// All devices are there: mount this.
    Mount(Mounts),
    /// It cannot be done, or must not.
    Refuse(Refusal),
}

/// The mounts of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Of these the first is the root, unless somebody has it mounted and it stays there.
    pub list: Vec<Mount>,
    /// What is not mounted.
    pub left: Vec<Left>,
    /// The user has the root mounted here.
    pub adopted: Option<PathBuf>,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// One mount, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is done.
    pub mount: Mounted,
    /// `ext4`
    pub fs_type: String,
    /// Index of its volume.
    pub volume: Option<usize>,
}

/// Something that fstab wants and that is not mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where.
    pub point: RootPath,
    /// As fstab names it.
    pub device: String,
    /// `ext4`
    pub fs_type: String,
    /// Why.
    pub why: Why,
}

/// Why something is not mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It should be there and is not.
    Missing(String),
    /// It was not asked for.
    Skipped(String),
}

/// Why a target is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing fits the TARGET.
    Nothing,
    /// Several systems and locked volumes fit, by index.
    Several(Vec<usize>, Vec<usize>),
    /// Its memory lies in this swap area.
    Hibernated(String),
    /// An array lacks members: name, here, of.
    Degraded(String, usize, u32),
    /// A group lacks physical volumes: name, how many.
    Incomplete(String, usize),
    /// Several groups have this name; their UUIDs.
    SameName(String, Vec<String>),
    /// Somebody holds its volume.
    InUse(String, Option<Holder>),
    /// newroot has no key for this one.
    NoKey(String),
    /// A volume that newroot cannot open: name, what it is.
    Unsupported(String, String),
    /// The filesystem is marked as having errors: name, device.
    Errors(String, PathBuf),
}

/// Decides what comes next.
#[must_use]
pub fn next(facts: &Facts<'_>, choices: &Choices) -> Next {
    let system = match facts.choice {
        Choice::System(index) => &facts.systems[*index],
        Choice::Locked(index) => return layers::locked(facts, choices, *index),
        Choice::Nothing => {
            return layers::anything(facts, choices).unwrap_or(Next::Refuse(Refusal::Nothing));
        }
        Choice::Several(systems, locked) => {
            return Next::Refuse(Refusal::Several(systems.clone(), locked.clone()));
        }
    };
    if let Some(image) = system.hibernated.as_ref()
        && choices.write
        && !choices.discard_hibernation
    {
        return Next::Refuse(Refusal::Hibernated(image.clone()));
    }
    layers::of_system(facts, choices, system)
        .unwrap_or_else(|| mounts::of_system(facts, choices, system))
}

#[cfg(test)]
mod tests;
