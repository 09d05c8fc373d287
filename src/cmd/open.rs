//! A TARGET, opened: everything between what was typed and a mounted tree, and back again.
//!
//! `mount`, `rescue` and what comes after them work over [`Opened`]. Read-only first, without
//! replay of a journal; [`Opened::read_write`] closes everything, proves it free, and opens it
//! again. Nothing is asked here but passphrases.

mod closing;
mod directory;
mod gather;
mod keys;
mod mounting;
mod refusal;
mod report;
mod work;

use std::ffi::OsStr;

use crate::cli::open::OpenOptions;
use crate::error::Failure;
use crate::exec::Holder;
use crate::model::{HostPath, RootPath};
use crate::probe::inventory::Inventory;
use crate::probe::scan;
use crate::probe::system::System;
use crate::probe::target::{Name, name};
use crate::session::Live;
use crate::ui::Ui;
use closing::Reopened;
pub(super) use keys::from_stdin;
pub(super) use report::lines;
use work::Work;
pub(super) use work::{signal_of, stop_on};

/// What the user chose.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Choices {
    /// `--read-only`: stay so.
    pub(super) read_only: bool,
    /// `--read-write`: without a question.
    pub(super) read_write: bool,
    /// `--key-file`, as typed.
    pub(super) key_files: Vec<std::ffi::OsString>,
    /// `--noauto`
    pub(super) noauto: bool,
    /// `--network`
    pub(super) network: bool,
    /// `--discard-hibernation`
    pub(super) discard_hibernation: bool,
    /// `--dirty-ntfs`
    pub(super) dirty_ntfs: bool,
    /// `--degraded`
    pub(super) degraded: bool,
    /// `--filesystem-errors`
    pub(super) filesystem_errors: bool,
    /// `--failing-disk`
    pub(super) failing_disk: bool,
}

impl Choices {
    /// From the command line. No global option makes a difference: `-y` answers nothing here.
    pub(super) fn new(options: &OpenOptions) -> Self {
        Self {
            read_only: options.read_only,
            read_write: options.read_write,
            key_files: options.key_file.clone(),
            noauto: options.noauto,
            network: options.network,
            discard_hibernation: options.discard_hibernation,
            dirty_ntfs: options.dirty_ntfs,
            degraded: options.degraded,
            filesystem_errors: options.filesystem_errors,
            failing_disk: options.failing_disk,
        }
    }
}

/// How a target is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing is written, no journal is replayed.
    ReadOnly,
    /// As the system itself would.
    ReadWrite,
}

/// Who sees the mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    /// This session only: the caller has left the inherited mount namespace.
    Session,
    /// Everyone, at this directory.
    Host(HostPath),
}

/// What became of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MountState {
    /// It is there.
    Mounted {
        /// Nothing can be written.
        read_only: bool,
    },
    /// It should be there; why it is not.
    Missing(String),
    /// It was left out on purpose; why.
    Skipped(String),
}

/// One mount of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenMount {
    /// Where, inside the target.
    pub(super) point: RootPath,
    /// The device as people know it: `sda2`, `web03_crypt`.
    pub(super) device: String,
    /// `ext4`
    pub(super) fs_type: String,
    /// What became of it.
    pub(super) state: MountState,
}

/// What closing a target left.
#[must_use]
#[derive(Clone, Debug, Default)]
pub(super) struct Closed {
    /// What was closed: "3 mounts gone, sda2 is free (checked)".
    pub(super) lines: Vec<String>,
    /// Who keeps something open; empty when nothing is left, or nobody was found.
    pub(super) holders: Vec<Holder>,
    /// Something is still open: exit 122.
    pub(super) incomplete: bool,
}

/// A target whose filesystems are mounted.
#[must_use = "it stays open until finish()"]
#[derive(Debug)]
pub(super) struct Opened {
    /// Hostname or id, for prompts and messages.
    pub(super) name: String,
    /// What is installed there; `None` for a plain directory that is no system.
    pub(super) system: Option<System>,
    /// The volumes of the machine, or of the image, as they were when it was opened.
    pub(super) inventory: Inventory,
    /// Where it is mounted; of a directory that directory, as found.
    pub(super) root: HostPath,
    /// How it is open.
    pub(super) access: Access,
    /// In depth order.
    pub(super) mounts: Vec<OpenMount>,
    /// The user had it mounted: it is left as found.
    pub(super) adopted: bool,
    /// What somebody should know.
    pub(super) warnings: Vec<String>,
    /// What has to be closed; `None` for a directory.
    work: Option<Work>,
}

impl Opened {
    /// Finds `target` and mounts it.
    ///
    /// # Errors
    /// A [`Failure`] that says what is in the way; everything is closed again then.
    pub(super) fn open(
        target: Option<&OsStr>,
        choices: &Choices,
        access: Access,
        visible: Visible,
        live: &mut Live,
        ui: &Ui,
    ) -> anyhow::Result<Self> {
        let name = target.map(name);
        if let Some(Name::Directory(path)) = &name {
            return directory::adopt(path);
        }
        let work = Work::new(target, name, choices, visible, ui)?;
        work.open(access, live, ui)
    }

    /// The shell commands that do the same, as far as they can be known without doing them.
    ///
    /// # Errors
    /// As [`Opened::open`].
    pub(super) fn preview(
        target: Option<&OsStr>,
        choices: &Choices,
        access: Access,
        root: &HostPath,
        ui: &Ui,
    ) -> anyhow::Result<String> {
        let name = target.map(name);
        if let Some(Name::Directory(path)) = &name {
            return Ok(format!("# {path} is taken as it is\n"));
        }
        let visible = Visible::Host(root.clone());
        Work::new(target, name, choices, visible, ui)?.preview(access, ui)
    }

    /// Closes everything, proves it free, and opens it again read-write. Nothing is asked: the
    /// caller did.
    ///
    /// # Errors
    /// Why it must stay read-only; then it is open read-only as before.
    pub(super) fn read_write(&mut self, live: &mut Live, ui: &Ui) -> anyhow::Result<()> {
        if self.access == Access::ReadWrite {
            return Ok(());
        }
        if self.work.as_ref().is_some_and(Work::stays_read_only) {
            let what = format!("cannot write in {}", self.name);
            return Err(Failure::new(what, "--read-only was given").into());
        }
        let Some(work) = self.work.take() else {
            return Err(directory::stays_read_only(&self.root).into());
        };
        match work.reopen(live, ui) {
            Reopened::Open(opened) => {
                *self = *opened;
                if self.access == Access::ReadWrite {
                    return Ok(());
                }
                Err(directory::stays_read_only(&self.root).into())
            }
            Reopened::Still(opened, why) => {
                *self = *opened;
                Err(why)
            }
            Reopened::Closed(why) => {
                self.mounts.clear();
                Err(why)
            }
        }
    }

    /// Reads again what the target says of itself, and what is mounted in a directory that was
    /// named: whoever worked in it may have changed that.
    pub(super) fn read_again(&mut self) {
        if let Some(known) = &self.system
            && let Ok(now) = scan::again(known, &self.inventory, &self.root)
        {
            self.system = Some(now);
        }
        if self.work.is_none() {
            self.mounts = directory::mounts_below(&self.root);
        }
    }

    /// It shall stay when this process has ended: the record says so.
    pub(super) fn keep(mut self) {
        if let Some(work) = self.work.take() {
            work.keep();
        }
    }

    /// Unmounts, closes, verifies.
    ///
    /// # Errors
    /// Those of the record.
    pub(super) fn finish(mut self, live: &mut Live, ui: &Ui) -> anyhow::Result<Closed> {
        match self.work.take() {
            Some(work) => Ok(work.close(live, ui)),
            None => Ok(Closed {
                lines: vec![format!("{} is as it was found", self.root)],
                holders: Vec::new(),
                incomplete: false,
            }),
        }
    }
}
