//! What is mounted when a root is entered, and in which order.
//!
//! Nothing is ever written in the root. Where a mount point is missing (or is a link, which would
//! lead somewhere else), an empty tmpfs takes the root's place and the root's own entries are
//! bound into it: see [`MountOp::Skeleton`].

mod device;
pub mod rescue;
mod skeleton;

use std::ffi::OsString;
use std::path::PathBuf;

use super::{BindSource, Command, FileOp, Mode, MountOp, Op, Place, ProcessOp, Step};
use crate::model::{HostPath, Kind, LENT, MountFlags, RootPath};
use rescue::Rescue;
pub use skeleton::merged_usr;

/// The directories that get a mount of ours.
const MOUNT_POINTS: [&str; 4] = ["proc", "sys", "dev", "run"];

/// What an entry directly in the root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A link with this text.
    Link(PathBuf),
    /// Something that is not shown in a skeleton.
    Other,
}

/// What is to be done about `/etc/resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// Nothing; why, where somebody should know.
    Leave(Option<String>),
    /// The host's file is mounted over it; it is a link, or it is not.
    Cover {
        /// It is a link.
        link: bool,
    },
    /// It is a link into our /run: the host's content is written there.
    Write {
        /// Where the link leads.
        path: RootPath,
        /// The content.
        content: Vec<u8>,
    },
}

/// Which devices there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// The host's.
    Host,
    /// A few harmless ones, and pseudo-terminals of its own.
    Minimal,
}

/// One `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// On the host, absolute.
    pub source: HostPath,
    /// What it is.
    pub source_kind: Kind,
    /// In the root.
    pub target: RootPath,
    /// What is there, links followed; `None` when nothing is.
    pub target_kind: Option<Kind>,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// What was found, and what was asked for.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// ROOT on the host, absolute: for showing.
    pub root: HostPath,
    /// What is directly in it, sorted.
    pub entries: Vec<(OsString, Entry)>,
    /// Links directly in the host's `/` (`bin -> usr/bin`), for a root that gets the host's /usr.
    pub host_links: Vec<(OsString, PathBuf)>,
    /// Whether the caller may mount without a user namespace.
    pub privileged: bool,
    /// Whether the host has /run/udev.
    pub udev: bool,
    /// Whether the host has EFI variables.
    pub efi_variables: bool,
    /// /etc/resolv.conf.
    pub resolver: Resolver,
    /// Whether the root has umount(8) and env(1).
    pub shell_can_pivot: bool,
    /// `--mode`.
    pub mode: Mode,
    /// `--dev`.
    pub devices: Devices,
    /// `--sys-rw`.
    pub writable_sys: bool,
    /// `--bind`, in order.
    pub binds: Vec<Bind>,
    /// Lent tools: the steps that fill their tmpfs, which the supervisor does before.
    pub lent: Option<Vec<Step>>,
    /// What a rescue has besides.
    pub rescue: Option<Rescue>,
    /// What runs.
    pub command: Command,
}

/// Why a root cannot be entered as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A `--bind` onto something that is not there, in a part of the root that is not ours.
    #[error("{0} does not exist in the root")]
    NoTarget(RootPath),
    /// A `--bind` onto something that is not there, below a filesystem of the kernel's.
    #[error("{0} does not exist, and nothing can be made below {1}, which is mounted anew")]
    BelowKernels(RootPath, &'static str),
    /// A `--bind` of a file onto a directory.
    #[error("{0} is no directory, and {1} in the root is one")]
    OnDirectory(HostPath, RootPath),
    /// A `--bind` of a directory onto a file.
    #[error("{0} is a directory, and {1} in the root is none")]
    OnFile(HostPath, RootPath),
    /// Lent tools with a /run of the user's own.
    #[error("the lent tools are in /run, where something else is bound")]
    LentWithoutRun,
}

/// The steps, and what somebody should know about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnterPlan {
    /// In order; the last one executes the program.
    pub steps: Vec<Step>,
    /// A line each.
    pub notes: Vec<String>,
}

/// Decides.
///
/// # Errors
/// A `--bind` that cannot be done.
pub fn plan(facts: &Facts) -> Result<EnterPlan, PlanError> {
    let mut plan = Builder {
        facts,
        ops: Vec::new(),
        lent_at: None,
        notes: Vec::new(),
    };
    let skeleton = skeleton::missing(facts);
    if skeleton.is_empty() {
        plan.ops.push(Op::Mount(MountOp::Tree));
    } else {
        plan.notes.push(skeleton::note(&skeleton));
        skeleton::build(&mut plan);
    }
    if facts.rescue.as_ref().is_some_and(|rescue| rescue.read_only) {
        plan.mount(MountOp::ReadOnly);
    }
    plan.kernel();
    device::build(&mut plan);
    plan.run();
    plan.lent()?;
    plan.resolver();
    rescue::build(&mut plan);
    for (index, bind) in facts.binds.iter().enumerate() {
        plan.bind(bind, !skeleton.is_empty())?;
        plan.note_hidden(bind, facts.binds.get(..index).unwrap_or_default());
    }
    Ok(plan.finish())
}

struct Builder<'f> {
    facts: &'f Facts,
    ops: Vec<Op>,
    /// Before which of `ops` the lent tools' tmpfs is filled.
    lent_at: Option<usize>,
    notes: Vec<String>,
}

impl Builder<'_> {
    fn mount(&mut self, op: MountOp) {
        self.ops.push(Op::Mount(op));
    }

    fn file(&mut self, op: FileOp) {
        self.ops.push(Op::File(op));
    }

    fn directory(&mut self, path: impl AsRef<std::path::Path>, mode: u32) {
        self.file(FileOp::MakeDir {
            path: RootPath::new(path),
            mode,
            owner: None,
        });
    }

    fn host_bind(&mut self, path: &str, read_only: bool) {
        self.mount(MountOp::Bind {
            source: BindSource::Host(HostPath::new(path)),
            target: RootPath::new(path),
            recursive: true,
            read_only,
            over_link: false,
        });
    }

    /// Whether the user binds something of his own exactly here.
    fn is_taken(&self, path: &str) -> bool {
        let path = RootPath::new(path);
        self.facts
            .binds
            .iter()
            .any(|bind| bind.target.normalized() == path)
    }

    /// /proc and /sys.
    fn kernel(&mut self) {
        if !self.is_taken("/proc") {
            self.mount(new("proc", "proc", MountFlags::INERT, "/proc"));
        }
        if self.is_taken("/sys") {
            return;
        }
        let flags = if self.facts.writable_sys {
            MountFlags::INERT
        } else {
            MountFlags::INERT.read_only()
        };
        if !self.facts.privileged {
            // A sysfs needs a network namespace of its own.
            self.host_bind("/sys", !self.facts.writable_sys);
            return;
        }
        self.mount(new("sysfs", "sysfs", flags, "/sys"));
        if self.facts.efi_variables {
            // A wrong write bricks machines: writable only while a boot loader is repaired.
            let writable = |rescue: &Rescue| rescue.writable_efi;
            let flags = if self.facts.rescue.as_ref().is_some_and(writable) {
                MountFlags::INERT
            } else {
                MountFlags::INERT.read_only()
            };
            self.mount(new(
                "efivarfs",
                "efivarfs",
                flags,
                "/sys/firmware/efi/efivars",
            ));
        }
    }

    /// A /run of its own: the host's sockets would let programs drive the host.
    fn run(&mut self) {
        if self.is_taken("/run") {
            return;
        }
        let flags = MountFlags {
            no_suid: true,
            no_dev: true,
            ..MountFlags::default()
        };
        self.mount(with_options(
            new("tmpfs", "newroot", flags, "/run"),
            &[("mode", "755")],
        ));
        if !rescue::has_host_lock(self.facts) {
            self.directory("/run/lock", 0o1777);
        }
        if self.facts.udev {
            self.directory("/run/udev", 0o755);
            self.mount(MountOp::Bind {
                source: BindSource::Host(HostPath::new("/run/udev")),
                target: RootPath::new("/run/udev"),
                recursive: false,
                read_only: true,
                over_link: false,
            });
        }
    }

    /// In our own /run, so nothing is left in the root.
    fn lent(&mut self) -> Result<(), PlanError> {
        if self.facts.lent.is_none() {
            return Ok(());
        }
        if self.is_taken("/run") {
            return Err(PlanError::LentWithoutRun);
        }
        let user = self.facts.command.user.as_ref();
        // A newroot that runs inside keeps its records here, and wants the place for itself.
        let is_roots = self.facts.rescue.is_none() && user.is_none_or(|user| user.uid == 0);
        let mode = if is_roots { 0o700 } else { 0o755 };
        self.directory(RootPath::new(LENT).parent().as_path(), mode);
        self.directory(LENT, 0o755);
        self.file(FileOp::Symlink {
            path: RootPath::new("/run/sh"),
            target: RootPath::new(LENT).join("bin/sh").as_path().to_path_buf(),
        });
        self.mount(MountOp::Lent {
            target: RootPath::new(LENT),
        });
        self.lent_at = Some(self.ops.len());
        Ok(())
    }

    fn resolver(&mut self) {
        match &self.facts.resolver {
            Resolver::Leave(note) => self.notes.extend(note.clone()),
            Resolver::Cover { link } => self.mount(MountOp::Bind {
                source: BindSource::Host(HostPath::new("/etc/resolv.conf")),
                target: RootPath::new("/etc/resolv.conf"),
                recursive: false,
                read_only: false,
                over_link: *link,
            }),
            Resolver::Write { path, content } => {
                self.parents(path);
                self.file(FileOp::Write {
                    path: path.clone(),
                    bytes: content.clone(),
                    mode: 0o644,
                });
            }
        }
    }

    /// Makes the directories above `path` inside a filesystem of ours.
    fn parents(&mut self, path: &RootPath) {
        let mut above = Vec::new();
        let mut parent = path.parent();
        while parent.parent() != RootPath::root() && parent != RootPath::root() {
            above.push(parent.clone());
            parent = parent.parent();
        }
        for path in above.into_iter().rev() {
            self.directory(path.as_path(), 0o755);
        }
    }

    fn bind(&mut self, bind: &Bind, skeleton: bool) -> Result<(), PlanError> {
        let is_directory = bind.source_kind == Kind::Directory;
        match bind.target_kind {
            Some(kind) if (kind == Kind::Directory) != is_directory => {
                let (source, target) = (bind.source.clone(), bind.target.clone());
                return Err(if is_directory {
                    PlanError::OnFile(source, target)
                } else {
                    PlanError::OnDirectory(source, target)
                });
            }
            Some(_) => {}
            None => {
                let target = bind.target.normalized();
                let ours = target.starts_with(&RootPath::new("/run"))
                    || (skeleton && skeleton::is_missing(self.facts, &target));
                let is_below = |name: &&&str| target.starts_with(&RootPath::new(name));
                if let Some(name) = ["/proc", "/sys", "/dev"].iter().find(is_below) {
                    return Err(PlanError::BelowKernels(bind.target.clone(), name));
                }
                if !ours {
                    return Err(PlanError::NoTarget(bind.target.clone()));
                }
                if !target.starts_with(&RootPath::new("/run")) {
                    skeleton::first_directory(self, &target);
                }
                self.parents(&target);
                if is_directory {
                    self.directory(target.as_path(), 0o755);
                } else {
                    self.file(FileOp::Write {
                        path: target,
                        bytes: Vec::new(),
                        mode: 0o644,
                    });
                }
            }
        }
        self.mount(MountOp::Bind {
            source: BindSource::Host(bind.source.clone()),
            target: bind.target.clone(),
            recursive: true,
            read_only: bind.read_only,
            over_link: false,
        });
        Ok(())
    }

    /// A bind above an earlier one covers it; the other order was meant.
    fn note_hidden(&mut self, bind: &Bind, before: &[Bind]) {
        let hidden = before
            .iter()
            .filter(|other| other.target != bind.target && other.target.starts_with(&bind.target));
        for other in hidden {
            self.notes.push(format!(
                "{} on {} hides what was bound on {} before: name that one last",
                bind.source, bind.target, other.target
            ));
        }
    }

    fn finish(self) -> EnterPlan {
        let step = |place, op| Step {
            place,
            op,
            base: self.facts.root.clone(),
        };
        let user = !self.facts.privileged;
        let apart = self.facts.rescue.is_some();
        let mode = self.facts.mode;
        let shell_can_pivot = self.facts.shell_can_pivot;
        let mut steps = vec![step(
            Place::Session,
            Op::Process(ProcessOp::Namespaces { user, apart }),
        )];
        let (before, after) = self.ops.split_at(self.lent_at.unwrap_or_default());
        let payload = |ops: &[Op]| -> Vec<Step> {
            let ops = ops.iter().cloned();
            ops.map(|op| step(Place::Payload, op)).collect()
        };
        steps.extend(payload(before));
        steps.extend(self.facts.lent.iter().flatten().cloned());
        steps.extend(payload(after));
        let new_root = ProcessOp::NewRoot {
            mode,
            shell_can_pivot,
        };
        steps.push(step(Place::Payload, Op::Process(new_root)));
        let execute = ProcessOp::Execute {
            command: self.facts.command.clone(),
            inside: mode == Mode::Pivot && shell_can_pivot,
        };
        steps.push(step(Place::Payload, Op::Process(execute)));
        EnterPlan {
            steps,
            notes: self.notes,
        }
    }
}

fn new(fstype: &'static str, source: &'static str, flags: MountFlags, target: &str) -> MountOp {
    MountOp::New {
        fstype,
        source,
        options: Vec::new(),
        flags,
        target: RootPath::new(target),
    }
}

fn with_options(op: MountOp, more: &[(&str, &str)]) -> MountOp {
    match op {
        MountOp::New {
            fstype,
            source,
            mut options,
            flags,
            target,
        } => {
            let pairs = more.iter().map(|(key, value)| {
                let value = (!value.is_empty()).then(|| (*value).to_owned());
                ((*key).to_owned(), value)
            });
            options.extend(pairs);
            MountOp::New {
                fstype,
                source,
                options,
                flags,
                target,
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
