//! The loop of design rule 1: look, ask [`next`](crate::plan::open::next), do it, look again; over one undo
//! stack.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use super::gather::{self, Look, Partitions};
use super::keys::{Asking, Ring};
use super::mounting::Ready;
use super::refusal::{self, Asked};
use super::{Access, Choices, Opened, Visible};
use crate::cmd::enter::{Shown, place};
use crate::cmd::{alone, target};
use crate::error::Failure;
use crate::exec::storage::{Parts, Storage, settle};
use crate::exec::{ExecError, UndoStack, apply};
use crate::model::{HostPath, RootPath};
use crate::plan::open::{self as plan, Facts, Next, Refusal, Tried};
use crate::plan::{Op, Place, Step, StorageOp};
use crate::probe::fstab::Spec;
use crate::probe::inventory::Usage;
use crate::probe::loops;
use crate::probe::target::{Choice, Name};
use crate::root::{self, Host};
use crate::session::Live;
use crate::sys::signal::{HUP, Held, INT, TERM};
use crate::ui::Ui;

/// How long, and how often, what others are just putting together is waited for.
const MOMENT: Duration = Duration::from_millis(500);
const MOST_MOMENTS: u32 = 10;

/// More steps than any stack of devices takes: a look that never changes must end.
const MOST_ROUNDS: usize = 64;

/// A target being opened, or open.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) typed: String,
    pub(super) name: Option<Name>,
    pub(super) choices: Choices,
    pub(super) visible: Visible,
    pub(super) ring: Ring,
    pub(super) parts: Parts,
    pub(super) undo: UndoStack,
    pub(super) tried: Tried,
    pub(super) partitions: Partitions,
    pub(super) warnings: Vec<String>,
    pub(super) root: HostPath,
    /// UUIDs of NTFS volumes on which Windows is hibernated.
    pub(super) windows: Vec<String>,
}

impl Work {
    pub(super) fn new(
        target: Option<&OsStr>,
        name: Option<Name>,
        choices: &Choices,
        visible: Visible,
        ui: &Ui,
    ) -> anyhow::Result<Self> {
        let typed = target.map_or_else(
            || "the installed system".to_string(),
            |typed| typed.to_string_lossy().into_owned(),
        );
        let name = match name {
            Some(Name::Image(path)) => Some(Name::Image(real(&path)?)),
            Some(Name::Device(path)) => Some(Name::Device(there(path)?)),
            name => name,
        };
        Ok(Self {
            typed,
            name,
            ring: Ring::new(&choices.key_files, ui)?,
            choices: choices.clone(),
            visible,
            parts: Parts::default(),
            undo: UndoStack::new(),
            tried: Tried::default(),
            partitions: Partitions::default(),
            warnings: Vec::new(),
            root: HostPath::new("/"),
            windows: Vec::new(),
        })
    }

    /// Opens; on an error everything is closed again.
    pub(super) fn open(
        mut self,
        access: Access,
        live: &mut Live,
        ui: &Ui,
    ) -> anyhow::Result<Opened> {
        match self.go(access, live, ui) {
            Ok(ready) => Ok(self.opened(access, ready)),
            Err(error) => {
                let closed = self.close(live, ui);
                for holder in &closed.holders {
                    ui.warn(&crate::cmd::enter::describe(holder));
                }
                Err(error)
            }
        }
    }

    pub(super) fn opened(self, access: Access, ready: Ready) -> Opened {
        let name = ready.system.facts.hostname.clone();
        let write = access == Access::ReadWrite;
        Opened {
            name: name.unwrap_or_else(|| ready.system.id.clone()),
            system: Some(ready.system),
            inventory: ready.inventory,
            root: self.root.clone(),
            access: if write && ready.writable {
                Access::ReadWrite
            } else {
                Access::ReadOnly
            },
            mounts: ready.mounts,
            adopted: ready.adopted,
            warnings: self.warnings.clone(),
            work: Some(self),
        }
    }

    /// Until everything is mounted. Signals that would end newroot are held back from here on, to
    /// the end of the process: what is open by then is closed by it, or stands.
    pub(super) fn go(&mut self, access: Access, live: &mut Live, ui: &Ui) -> anyhow::Result<Ready> {
        if let Some(Name::Image(path)) = &self.name {
            gather::refuse_used_image(path)?;
        }
        let signals = Held::new(&[INT, TERM, HUP])?;
        self.rounds(access, live, ui, &signals)
    }

    fn rounds(
        &mut self,
        access: Access,
        live: &mut Live,
        ui: &Ui,
        signals: &Held,
    ) -> anyhow::Result<Ready> {
        let mut patience = MOST_MOMENTS;
        for _ in 0..MOST_ROUNDS {
            // Until this round is over: what was found must still be so when it is mounted.
            let looking = alone::wait_unless(ui, || stop_on(signals))?;
            stop_on(signals)?;
            let mut look = gather::look(self.name.as_ref(), &self.parts, &self.partitions)?;
            gather::partitions(&look.found.inventory, &mut self.partitions);
            self.ring.take_inside(std::mem::take(&mut look.keys));
            gather::remember_windows(&mut look, &self.windows);
            self.anchor(&look);
            self.choose_root(&look, live)?;
            match self.next(&look, access) {
                Next::Do { steps, required } => {
                    // A passphrase may take its time.
                    drop(looking);
                    for op in steps {
                        stop_on(signals)?;
                        self.layer(op, required, &look, live, ui)?;
                    }
                    settle();
                }
                Next::Mount(mounts) => return self.mount_all(mounts, &look, live, ui, signals),
                Next::Refuse(refusal) if self.may_pass(&refusal, &mut patience) => {
                    drop(looking);
                    std::thread::sleep(MOMENT);
                }
                Next::Refuse(refusal) => return Err(self.refused(&refusal, &look).into()),
            }
        }
        let what = format!("cannot open {}", self.typed);
        Err(Failure::new(what, "its devices come and go").into())
    }

    /// systemd activates LVM beside udev, some time after a volume was opened: while it is at
    /// work, what is inside is neither here nor there.
    fn may_pass(&self, refusal: &Refusal, patience: &mut u32) -> bool {
        let passing = matches!(refusal, Refusal::Nothing | Refusal::InUse(..));
        let waits = passing && !self.tried.unlocked.is_empty() && *patience > 0;
        *patience -= u32::from(waits);
        waits
    }

    fn next(&self, look: &Look, access: Access) -> Next {
        let facts = Facts {
            inventory: &look.found.inventory,
            systems: &look.found.systems,
            locked: &look.found.locked,
            apart: &look.found.apart,
            choice: &look.choice,
            tried: &self.tried,
            troubles: &look.troubles,
            root: &self.root,
            mounted: &look.mounted,
        };
        let choices = plan::Choices {
            write: access == Access::ReadWrite,
            lasting: matches!(self.visible, Visible::Host(_)),
            noauto: self.choices.noauto,
            network: self.choices.network,
            discard_hibernation: self.choices.discard_hibernation,
            dirty_ntfs: self.choices.dirty_ntfs,
            degraded: self.choices.degraded,
            filesystem_errors: self.choices.filesystem_errors,
        };
        plan::next(&facts, &choices)
    }

    /// What was named by its lock is looked for on that volume once it is open.
    fn anchor(&mut self, look: &Look) {
        if let Choice::Locked(index) = look.choice
            && !matches!(self.name, Some(Name::Image(_)))
        {
            let locked = &look.found.locked[index];
            // Its node is another one once what it lies on is put together; its UUID stays.
            let volume = &look.found.inventory.volumes[locked.volume];
            self.name = Some(Name::Spec(Spec::Uuid(volume.superblock.uuid.clone())));
        }
    }

    /// A root that the user has mounted is completed where it is.
    fn choose_root(&mut self, look: &Look, live: &Live) -> anyhow::Result<()> {
        self.root = match &self.visible {
            Visible::Host(path) => match mounted_by_user(look) {
                Some(point) => HostPath::new(point),
                None => path.clone(),
            },
            Visible::Session => place()?.path().join(format!("{}-root", live.id())),
        };
        Ok(())
    }

    /// One layer. What is not required and does not work is given up, with a warning.
    fn layer(
        &mut self,
        op: StorageOp,
        required: bool,
        look: &Look,
        live: &mut Live,
        ui: &Ui,
    ) -> anyhow::Result<()> {
        self.note_tried(&op);
        let done = self.apply(op.clone(), live, ui);
        match (done, op) {
            (Ok(()), StorageOp::Unlock(crypt)) => {
                let name = self.parts.name_of(&crypt).unwrap_or_default();
                self.tried.unlocked.push((crypt, name));
            }
            (Ok(()), _) => {}
            (Err(error @ ExecError::Interrupted(_)), _) => return Err(error.into()),
            (Err(ExecError::NoKey), StorageOp::Unlock(crypt)) => {
                if required {
                    let refusal = Refusal::NoKey(crypt.id);
                    return Err(self.refused(&refusal, look).into());
                }
                let line = format!("{} ({}) stays locked", crypt.id, crypt.shown);
                self.tried.given_up.insert(crypt.uuid);
                self.warn(line, ui);
            }
            (Err(error), op) => {
                if required {
                    return Err(self.failed(&op, error).into());
                }
                if let StorageOp::Unlock(crypt) = &op {
                    self.tried.given_up.insert(crypt.uuid.clone());
                }
                self.warn(error.to_string(), ui);
            }
        }
        Ok(())
    }

    fn note_tried(&mut self, op: &StorageOp) {
        let tried = &mut self.tried;
        match op {
            StorageOp::Attach(part) => {
                tried.attached.insert(part.file.clone());
            }
            StorageOp::Assemble(array) => {
                tried.arrays.insert(array.uuid.clone());
            }
            StorageOp::Activate(group) => {
                tried.groups.insert(group.uuid.clone());
            }
            StorageOp::Rename { crypt, .. } => {
                tried.named.insert(crypt.uuid.clone());
            }
            _ => {}
        }
    }

    pub(super) fn apply(
        &mut self,
        op: StorageOp,
        live: &mut Live,
        ui: &Ui,
    ) -> Result<(), ExecError> {
        let step = self.step(op);
        self.with_storage(live, ui, |storage, undo| {
            apply(&[step], storage, undo, &mut Shown(ui))
        })
    }

    pub(super) fn with_storage<T>(
        &mut self,
        live: &mut Live,
        ui: &Ui,
        deed: impl FnOnce(&mut Storage<'_>, &mut UndoStack) -> T,
    ) -> T {
        let mut asking = Asking {
            ring: &mut self.ring,
            ui,
        };
        let mut storage = Storage {
            parts: &mut self.parts,
            live,
            keys: &mut asking,
        };
        deed(&mut storage, &mut self.undo)
    }

    pub(super) fn step(&self, op: StorageOp) -> Step {
        Step {
            place: match self.visible {
                Visible::Host(_) => Place::Host,
                Visible::Session => Place::Session,
            },
            op: Op::Storage(op),
            base: self.root.clone(),
        }
    }

    pub(super) fn refused(&self, refusal: &Refusal, look: &Look) -> Failure {
        let asked = Asked {
            typed: &self.typed,
            is_image: matches!(self.name, Some(Name::Image(_))),
        };
        refusal::failure(refusal, &look.found, asked)
    }

    pub(super) fn failed(&self, op: &StorageOp, error: ExecError) -> Failure {
        let text = error.to_string();
        let failure = Failure::new(format!("cannot open {}", self.typed), text.clone())
            .detail(format!("it failed at: {}", self.step(op.clone())));
        let failure = if text.contains("device-mapper") {
            failure.hint("load the driver", "modprobe dm_mod; modprobe dm_crypt")
        } else {
            failure
        };
        failure.caused_by(error)
    }

    fn warn(&mut self, line: String, ui: &Ui) {
        ui.warn(&line);
        self.warnings.push(line);
    }

    /// `--read-only` was given.
    pub(super) fn stays_read_only(&self) -> bool {
        self.choices.read_only
    }

    /// What would be done, as shell commands; it ends where a step has to be done before more can
    /// be known.
    pub(super) fn preview(mut self, access: Access, ui: &Ui) -> anyhow::Result<String> {
        let mut text = String::new();
        let Visible::Host(root) = self.visible.clone() else {
            return Ok(text);
        };
        self.root = root;
        let _alone = alone::wait(ui);
        let look = gather::look(self.name.as_ref(), &self.parts, &self.partitions)?;
        for _ in 0..MOST_ROUNDS {
            match self.next(&look, access) {
                Next::Do { steps, .. } => {
                    for op in steps {
                        let unlock = matches!(op, StorageOp::Unlock(_));
                        let shown = self.step(op.clone());
                        // Parts of an image are mounted by mount(8) itself, in one go.
                        if !matches!(op, StorageOp::Attach(_)) {
                            text.push_str(&format!("{shown}\n"));
                        }
                        self.note_tried(&op);
                        if unlock {
                            text.push_str("# what comes next is known when this is open\n");
                            return Ok(text);
                        }
                    }
                }
                Next::Mount(mounts) => {
                    if std::fs::symlink_metadata(self.root.as_path()).is_err() {
                        let step = self.step(StorageOp::MakeRoot(self.root.clone()));
                        text.push_str(&format!("{step}\n"));
                    }
                    for mount in mounts.list {
                        let step = self.step(StorageOp::Mount(mount.mount));
                        text.push_str(&format!("{step}\n"));
                    }
                    return Ok(text);
                }
                Next::Refuse(Refusal::Nothing) if !self.tried.is_empty() => {
                    text.push_str("# what comes next is known when this is done\n");
                    return Ok(text);
                }
                Next::Refuse(refusal) => return Err(self.refused(&refusal, &look).into()),
            }
        }
        Ok(text)
    }
}

fn mounted_by_user(look: &Look) -> Option<PathBuf> {
    let volume = &look.found.inventory.volumes[look.system()?.volume()?];
    match &volume.usage {
        Usage::Mounted(point) => Some(point.clone()),
        _ => None,
    }
}

pub(in crate::cmd) fn stop_on(signals: &Held) -> Result<(), ExecError> {
    match signals.next() {
        Some(signal) => Err(ExecError::Interrupted(signal)),
        None => Ok(()),
    }
}

/// The signal that made this an error.
pub(in crate::cmd) fn signal_of(error: &anyhow::Error, signals: &Held) -> Option<i32> {
    match error.downcast_ref::<ExecError>() {
        Some(ExecError::Interrupted(signal)) => Some(*signal),
        _ => signals.next(),
    }
}

/// A device's name that leads to nothing is told as such, not as a system that was not found.
fn there(path: PathBuf) -> Result<PathBuf, Failure> {
    match std::fs::metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) => {
            let what = format!("cannot open {}", path.display());
            Err(target::refused(what, crate::sys::errno_of(&error)))
        }
    }
}

/// The file behind an image's name.
fn real(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    let real = std::path::absolute(path)
        .and_then(|path| root::canonical(&Host, &RootPath::new(path)))
        .map_err(|error| {
            let what = format!("cannot open {}", path.display());
            target::refused(what, crate::sys::errno_of(&error))
        })?;
    // A file that cannot be read is told here, not by a loop device.
    loops::open(real.as_path())?;
    Ok(real.as_path().to_path_buf())
}
