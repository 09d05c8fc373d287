//! The scan: every device, every filesystem, every root. Nothing is written, nothing stays.
//!
//! [`scan`] gathers and looks; the peeks stay open until [`Scan::finish`], so that a doctor can
//! read through [`Scan::view`] what the scan has found. A real mount of a device comes after
//! `finish`, never before (see [`super::peek`]).

mod assemble;
mod attach;
mod derive;
mod gather;
mod look;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::busy::Holder;
use super::inventory::{Inventory, Slot};
use super::livemedium::Own;
use super::peek::{Peek, PeekError};
use super::system::{Place, System};
use super::view::View;
use crate::model::{HostPath, RootPath};
use crate::root::InRoot;
use crate::sys::loopdev::LoopDevice;
use crate::tool::ToolError;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Devices and image files; empty: all devices of this machine.
    pub only: Vec<PathBuf>,
    /// Loop devices that the caller made of parts of files and disks, by node.
    pub parts: BTreeMap<PathBuf, Known>,
}

/// What the kernel does not know of a loop device: which partition it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// `disk.img p2`
    pub name: String,
    /// Its line in the partition table.
    pub slot: Option<Slot>,
    /// The disks at the bottom.
    pub disks: Vec<String>,
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It carries the running system.
    Own(Own),
    /// It did not answer in this many seconds.
    NoAnswer(u64),
    /// Somebody holds it.
    InUse(Option<Holder>),
    /// It cannot be read, or looked into; why.
    Unreadable(String),
}

/// Something left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The volume's name.
    pub name: String,
    /// Why.
    pub reason: Reason,
}

/// A volume that has to be opened first, or cannot be opened by newroot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// What a person types: `luks-91bc`.
    pub id: String,
    /// Index into the inventory.
    pub volume: usize,
    /// "LUKS2"
    pub what: String,
}

/// An array, volume group or pool that is not put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// Its name.
    pub name: String,
    /// "md raid5", "LVM", "ZFS"
    pub what: String,
    /// Names of the volumes it lies on.
    pub on: Vec<String>,
    /// What is the matter.
    pub note: String,
    /// How it could be put together.
    pub kit: Kit,
}

/// What it takes to put something together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kit {
    /// An md array.
    Array {
        /// As blkid writes it.
        uuid: String,
        /// Indexes into the inventory.
        members: Vec<usize>,
        /// How many members it should have.
        disks: u32,
    },
    /// A volume group.
    Group {
        /// Its UUID, as LVM writes it.
        uuid: String,
        /// Indexes into the inventory.
        members: Vec<usize>,
        /// Physical volumes that are not here.
        missing: usize,
    },
    /// newroot does not know how.
    Unknown,
}

/// What went wrong as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// blkid is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What was named cannot be opened.
    #[error("cannot open {path:?}: {source}")]
    Open {
        /// As it was typed.
        path: PathBuf,
        /// The call.
        source: crate::sys::SysError,
    },
    /// What was named is neither a device nor a file.
    #[error("{0:?} is neither a block device nor an image file")]
    NotADevice(PathBuf),
}

/// What was found, with the looks still open.
#[must_use = "the looks stay open until finish()"]
#[derive(Debug, Default)]
pub struct Scan {
    /// Everything that may hold a filesystem.
    pub inventory: Inventory,
    /// The systems, in the order of their disks.
    pub systems: Vec<System>,
    /// What has to be unlocked first.
    pub locked: Vec<Locked>,
    /// What is not put together.
    pub apart: Vec<Apart>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// What is odd: a damaged partition table, a clone.
    pub notes: Vec<String>,
    peeks: Vec<(usize, Peek)>,
    loops: Vec<LoopDevice>,
}

/// Looks at this machine, or at what `options` name.
///
/// # Errors
/// [`ScanError`]; a device that cannot be looked at is no error but in [`Scan::skipped`].
pub fn scan(options: &Options) -> Result<Scan, ScanError> {
    let mut scan = Scan::default();
    gather::gather(&mut scan, options)?;
    let candidates = look::look(&mut scan);
    assemble::assemble(&mut scan, candidates);
    Ok(scan)
}

/// Looks at one directory that serves as a root.
///
/// # Errors
/// The errno of open(2): the directory is not there.
pub fn directory(path: &HostPath) -> std::io::Result<System> {
    let root = InRoot::open(path)?;
    Ok(assemble::of_directory(&root, path))
}

/// What a system that is mounted at `path` says of itself now: somebody may have worked in it
/// since it was found.
///
/// # Errors
/// The errno of open(2): the directory is not there.
pub fn again(known: &System, inventory: &Inventory, path: &HostPath) -> std::io::Result<System> {
    let root = InRoot::open(path)?;
    Ok(assemble::again(known, inventory, &root))
}

impl Scan {
    /// The system as its fstab puts it together, seen through the open looks. Parts that could
    /// not be looked into are in [`System::unseen`].
    ///
    /// # Errors
    /// The errno of openat2(2): the root itself is gone.
    pub fn view(&self, system: &System) -> std::io::Result<View<'_>> {
        look::view(self, system)
    }

    /// The open look into the filesystem that holds volume `index`.
    #[must_use]
    pub fn peek(&self, index: usize) -> Option<&Peek> {
        let first = look::first_of_group(&self.inventory, index);
        self.peeks
            .iter()
            .find(|(at, _)| *at == first)
            .map(|(_, peek)| peek)
    }

    /// The root directory of a place.
    ///
    /// # Errors
    /// The errno of openat2(2).
    pub fn root_of(&self, place: &Place) -> std::io::Result<InRoot> {
        match place {
            Place::Directory(path) => InRoot::open(path),
            Place::Volume {
                volumes,
                subvolume,
                deployment,
                ..
            } => {
                let peek = volumes.first().and_then(|index| self.peek(*index));
                let peek = peek.ok_or_else(|| std::io::Error::from(rustix::io::Errno::NXIO))?;
                let mut path = RootPath::root();
                if let Some(subvolume) = subvolume
                    && !peek.is_borrowed()
                {
                    path = path.join(subvolume.path.as_path());
                }
                if let Some(deployment) = deployment {
                    path = path.join(deployment.as_path());
                }
                peek.subtree(&path)
            }
        }
    }

    /// Closes every look, as [`Scan::finish`] does, and keeps what was found and its devices. A
    /// device that somebody else took meanwhile is in use from here on.
    ///
    /// # Errors
    /// Each device that is still claimed by us.
    pub fn close_looks(&mut self) -> Result<(), Vec<PeekError>> {
        let mut left = Vec::new();
        for (_, peek) in std::mem::take(&mut self.peeks) {
            match peek.finish() {
                Ok(()) => {}
                Err(PeekError::Taken(device)) => look::taken(self, &device),
                Err(error) => left.push(error),
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left) }
    }

    /// Takes the volume that was behind `locked` and is now `/dev/mapper/NAME`, and looks again.
    ///
    /// # Errors
    /// [`ScanError`]: blkid is gone.
    pub fn opened(&mut self, locked: &Locked, name: &str) -> Result<(), ScanError> {
        gather::add_opened(self, locked, name)?;
        let candidates = look::look(self);
        assemble::assemble(self, candidates);
        Ok(())
    }

    /// Notes what was left out, once.
    fn skip(&mut self, name: String, reason: Reason) {
        let skipped = Skipped { name, reason };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    /// Notes something odd, once.
    fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }

    /// Closes every look and proves that nothing of it is left, then lets the loop devices go.
    ///
    /// # Errors
    /// Each device that is still claimed by us.
    pub fn finish(mut self) -> Result<Found, Vec<PeekError>> {
        self.close_looks()?;
        drop(self.loops);
        Ok(Found {
            inventory: self.inventory,
            systems: self.systems,
            locked: self.locked,
            apart: self.apart,
            skipped: self.skipped,
            notes: self.notes,
        })
    }
}

/// What was found, with every look closed.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// See [`Scan::inventory`].
    pub inventory: Inventory,
    /// See [`Scan::systems`].
    pub systems: Vec<System>,
    /// See [`Scan::locked`].
    pub locked: Vec<Locked>,
    /// See [`Scan::apart`].
    pub apart: Vec<Apart>,
    /// See [`Scan::skipped`].
    pub skipped: Vec<Skipped>,
    /// See [`Scan::notes`].
    pub notes: Vec<String>,
}
