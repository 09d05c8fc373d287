//! The machine for [`FileOp`]s: everything is done below one directory that is held open, by
//! `*at` calls on the parent's descriptor. No link below it decides where anything goes.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;

use super::copy::{self, How};
use super::{ExecError, Machine};
use crate::model::{Kind, Manifest, RootPath};
use crate::plan::jail::UNFINISHED;
use crate::plan::{FileOp, Op, Owner, Source, Step};
use crate::root::{InRoot, Tree, TreeFile};
use crate::sys::signal::Held;
use crate::sys::{SysError, SysResult, file, fs};

/// A fact that only doing a step brought to light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A file's content is there.
    Copied {
        /// Where.
        path: RootPath,
        /// Of the content.
        blake3: [u8; 32],
        /// Length of the content.
        bytes: u64,
        /// Shared or copied.
        how: How,
    },
    /// File capabilities were dropped.
    CapabilitiesDropped(RootPath),
    /// Extended attributes could not be set here.
    AttributesLost(RootPath),
    /// mknod(2) is not allowed.
    NodeRefused(RootPath),
}

/// Files below one open directory, copied from one tree.
pub struct Files<'t> {
    target: InRoot,
    from: &'t dyn Tree,
    /// The directory that the last step worked in: the next one is mostly in the same.
    parent: Option<(RootPath, Rc<OwnedFd>)>,
    buffer: Vec<u8>,
    apart: copy::Apart,
    /// Nobody else looks into it, and it goes as a whole when this is killed.
    pub(super) fresh: bool,
    /// What came to light, in the order it was done.
    pub outcomes: Vec<Outcome>,
    /// What [`FileOp::Manifest`] writes, once the sums are filled in.
    pub manifest: Option<Manifest>,
    /// What the manifest still lacks: found out while others copy, or else before it is written.
    pub meanwhile: Option<Meanwhile<'t>>,
    /// BLAKE3 of the manifest that a change in place begins from.
    pub began_from: String,
    /// Signals that end the work between two steps, so that it can be cleaned up.
    pub held: Option<Held>,
}

/// Completes a manifest.
pub type Meanwhile<'t> = Box<dyn FnOnce(&mut Manifest) + 't>;

impl std::fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("target", &self.target)
            .field("outcomes", &self.outcomes.len())
            .finish_non_exhaustive()
    }
}

impl<'t> Files<'t> {
    /// Works below `target`; what is copied comes from `from`.
    #[must_use]
    pub fn new(target: InRoot, from: &'t dyn Tree) -> Self {
        Self {
            target,
            from,
            parent: None,
            buffer: Vec::new(),
            apart: copy::Apart::default(),
            fresh: false,
            outcomes: Vec::new(),
            manifest: None,
            meanwhile: None,
            began_from: String::new(),
            held: None,
        }
    }

    /// Whether somebody wants this to end.
    ///
    /// # Errors
    /// [`ExecError::Interrupted`].
    pub fn check_interrupt(&self) -> Result<(), ExecError> {
        match self.held.as_ref().and_then(Held::next) {
            Some(number) => Err(ExecError::Interrupted(number)),
            None => Ok(()),
        }
    }

    /// Does what can be done beside the copying, once.
    pub(super) fn complete_manifest(&mut self) {
        if let Some(manifest) = &mut self.manifest
            && let Some(complete) = self.meanwhile.take()
        {
            complete(manifest);
        }
    }

    /// The tree that is worked on.
    #[must_use]
    pub fn target(&self) -> &InRoot {
        &self.target
    }

    /// Ends the work and gives the tree back.
    #[must_use]
    pub fn into_target(self) -> InRoot {
        self.target
    }

    fn perform_op(&mut self, op: &FileOp) -> SysResult<()> {
        match op {
            FileOp::Replace { with } => self.replace(with),
            FileOp::Manifest { path } => self.write_manifest(path),
            FileOp::Pending { path, entries } => self.write_pending(path, entries),
            FileOp::Finish { path, .. } if *path == RootPath::root() => {
                let root = file::open_directory(self.target.fd(), Path::new("."))?;
                self.finish_fd(&root, op)
            }
            _ => {
                let (parent, name) = self.parent_of(op.path())?;
                self.perform_at(op, &parent, &name)
            }
        }
    }

    /// One operation whose parent directory is open.
    pub(super) fn perform_at(
        &mut self,
        op: &FileOp,
        parent: &OwnedFd,
        name: &Path,
    ) -> SysResult<()> {
        match op {
            FileOp::MakeDir { mode, owner, .. } => make_directory(parent, name, *mode, *owner),
            FileOp::Copy { .. } => self.copy(op, parent, name),
            FileOp::HardLink { existing, .. } => {
                let (from, old) = self.parent_of(existing)?;
                file::make_hard_link(&from, &old, parent, name)
            }
            FileOp::Symlink { target, .. } => file::make_link(target, parent, name),
            FileOp::Node { path, .. } => self.make_node(op, path, parent, name),
            FileOp::Write { path, bytes, mode } => {
                undone_on_error(parent, name, write(parent, name, bytes, *mode))?;
                self.outcomes.push(Outcome::Copied {
                    path: path.clone(),
                    blake3: *blake3::hash(bytes).as_bytes(),
                    bytes: bytes.len() as u64,
                    how: How::Copied,
                });
                Ok(())
            }
            FileOp::Finish { mode: Some(_), .. } => {
                let fd = file::open_directory(parent, name)?;
                self.finish_fd(&fd, op)
            }
            FileOp::Finish {
                owner, modified, ..
            } => {
                if let Some(Owner { uid, gid }) = owner {
                    file::set_owner_at(parent, name, *uid, *gid)?;
                }
                modified.map_or(Ok(()), |time| file::set_times_at(parent, name, time))
            }
            // Gone already is as good: what a killed run left may be partly cleaned.
            FileOp::Remove { .. } => missing_is_fine(file::unlink(parent, name)),
            FileOp::RemoveDir { .. } => missing_is_fine(file::remove_directory(parent, name)),
            FileOp::Replace { .. } | FileOp::Manifest { .. } | FileOp::Pending { .. } => Ok(()),
        }
    }

    fn copy(&mut self, op: &FileOp, parent: &OwnedFd, name: &Path) -> SysResult<()> {
        let FileOp::Copy {
            source,
            path,
            mode,
            owner,
            keep_capabilities,
            ..
        } = op
        else {
            return Ok(());
        };
        let from = open_source(self.from, source)?;
        // In a jail that is used, the mode says that a file is not complete, and nobody reads it
        // before it has its owner and attributes.
        let first = if self.fresh {
            first_mode(*mode)
        } else {
            UNFINISHED
        };
        let to = file::create_new(parent, name, first)?;
        let done = self.fill(&from, &to, path, *mode, *owner, *keep_capabilities);
        undone_on_error(parent, name, done)
    }

    fn fill(
        &mut self,
        from: &TreeFile,
        to: &OwnedFd,
        path: &RootPath,
        mode: u32,
        owner: Option<Owner>,
        keep_capabilities: bool,
    ) -> SysResult<()> {
        let (meta, made) = (meta_of(from)?, meta_of_fd(to)?);
        self.buffer.resize(copy::BUFFER, 0);
        let (buffer, apart) = (&mut self.buffer, &mut self.apart);
        let content = copy::content((from, &meta), (to, &made), buffer, apart)?;
        // chown(2) clears set-id bits and capabilities, chmod(2) rewrites the ACL's mask, and
        // both change the times: hence this order. Mostly it has what it shall have.
        let given = owner.filter(|owner| (owner.uid, owner.gid) != (made.uid, made.gid));
        if let Some(Owner { uid, gid }) = given {
            file::set_owner(to, uid, gid)?;
        }
        if given.is_some() || made.mode != mode {
            file::set_mode(to, mode)?;
        }
        if let Some(fd) = from.fd() {
            let lost = copy::attributes(fd, to, keep_capabilities)?;
            if lost.capabilities {
                self.outcomes
                    .push(Outcome::CapabilitiesDropped(path.clone()));
            }
            if lost.attributes {
                self.outcomes.push(Outcome::AttributesLost(path.clone()));
            }
        }
        file::set_times(to, meta.modified)?;
        self.outcomes.push(Outcome::Copied {
            path: path.clone(),
            blake3: *content.blake3.as_bytes(),
            bytes: content.bytes,
            how: content.how,
        });
        Ok(())
    }

    fn make_node(
        &mut self,
        op: &FileOp,
        path: &RootPath,
        parent: &OwnedFd,
        name: &Path,
    ) -> SysResult<()> {
        let FileOp::Node {
            kind,
            major,
            minor,
            mode,
            ..
        } = op
        else {
            return Ok(());
        };
        let block = *kind == Kind::BlockDevice;
        match file::make_node(parent, name, block, (*major, *minor), *mode) {
            // The umask took bits away.
            Ok(()) => undone_on_error(parent, name, file::set_mode_at(parent, name, *mode)),
            Err(error) if error.errno == Errno::PERM => {
                self.outcomes.push(Outcome::NodeRefused(path.clone()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn finish_fd(&mut self, fd: &OwnedFd, op: &FileOp) -> SysResult<()> {
        let FileOp::Finish {
            path,
            mode,
            owner,
            modified,
            like,
        } = op
        else {
            return Ok(());
        };
        if let Some(Owner { uid, gid }) = owner {
            file::set_owner(fd, *uid, *gid)?;
        }
        if let Some(mode) = mode {
            file::set_mode(fd, *mode)?;
        }
        if let Some(source) = like {
            // A directory that vanished since has nothing to give.
            if let Ok(TreeFile::Fd(from)) = self.from.open(&source.path)
                && copy::attributes(&from, fd, false)?.attributes
            {
                self.outcomes.push(Outcome::AttributesLost(path.clone()));
            }
        }
        modified.map_or(Ok(()), |time| file::set_times(fd, time))
    }

    /// The open directory that holds `path`, every component of which is a real directory.
    pub(super) fn parent_of(&mut self, path: &RootPath) -> SysResult<(Rc<OwnedFd>, PathBuf)> {
        let invalid = || SysError::new("openat2", format_args!("{path}"), Errno::INVAL);
        let name = PathBuf::from(path.file_name().ok_or_else(invalid)?);
        let above = path.parent();
        if let Some((known, fd)) = &self.parent
            && *known == above
        {
            return Ok((Rc::clone(fd), name));
        }
        let fd = fs::open_real_directory(self.target.fd(), above.relative()).map_err(|error| {
            let what = format_args!(
                "{:?}, RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS",
                above.relative()
            );
            SysError::from_io("openat2", what, &error)
        })?;
        let fd = Rc::new(fd);
        self.parent = Some((above, Rc::clone(&fd)));
        Ok((fd, name))
    }
}

impl Machine for Files<'_> {
    fn perform(&mut self, step: &Step) -> Result<(), ExecError> {
        let Op::File(op) = &step.op else {
            return Err(ExecError::Other(format!(
                "not an operation on files: {step}"
            )));
        };
        self.check_interrupt()?;
        if matches!(op, FileOp::RemoveDir { .. } | FileOp::Remove { .. }) {
            // What is removed may be the directory that is held.
            self.parent = None;
        }
        self.perform_op(op).map_err(|source| ExecError::Step {
            what: describe(op),
            source,
        })
    }
}

/// What a step does, for an error's first line.
fn describe(op: &FileOp) -> String {
    let path = op.path();
    match op {
        FileOp::MakeDir { .. } => format!("make the directory {path}"),
        FileOp::Copy { source, .. } => format!("copy {}", source.shown),
        FileOp::HardLink { .. } | FileOp::Symlink { .. } => format!("make the link {path}"),
        FileOp::Node { .. } => format!("make the device node {path}"),
        FileOp::Write { .. } | FileOp::Manifest { .. } | FileOp::Pending { .. } => {
            format!("write {path}")
        }
        FileOp::Finish { .. } => format!("set owner, mode and times of {path}"),
        FileOp::Replace { with } => format!("{}, replacing what is there", describe(with)),
        FileOp::Remove { .. } | FileOp::RemoveDir { .. } => format!("remove {path}"),
    }
}

fn make_directory(parent: &OwnedFd, name: &Path, mode: u32, owner: Option<Owner>) -> SysResult<()> {
    // Its maker has to get in until it is finished, whatever its mode shall be.
    file::make_directory(parent, name, mode | 0o700)?;
    let done = owner.map_or(Ok(()), |Owner { uid, gid }| {
        file::set_owner_at(parent, name, uid, gid)
    });
    if done.is_err() {
        file::remove_directory(parent, name).ok();
    }
    done
}

pub(super) fn write(parent: &OwnedFd, name: &Path, bytes: &[u8], mode: u32) -> SysResult<()> {
    let fd = file::create_new(parent, name, 0o600)?;
    file::write_all(&fd, bytes)?;
    file::set_mode(&fd, mode)
}

/// The mode that a file is made with: its own where everybody may read it and only its owner may
/// write; otherwise the owner it will have must come first.
fn first_mode(mode: u32) -> u32 {
    if mode & 0o466 == 0o444 {
        mode & 0o777
    } else {
        UNFINISHED
    }
}

fn open_source(from: &dyn Tree, source: &Source) -> SysResult<TreeFile> {
    let opened = from.open(&source.path).map_err(|error| {
        SysError::from_io(
            "openat",
            format_args!("{:?}", source.path.as_path()),
            &error,
        )
    })?;
    if meta_of(&opened)?.kind == Kind::File {
        Ok(opened)
    } else {
        // It was a regular file when the plan was made.
        Err(SysError::new(
            "openat",
            format_args!("{:?}", source.path.as_path()),
            Errno::STALE,
        ))
    }
}

fn meta_of_fd(fd: &OwnedFd) -> SysResult<crate::model::Meta> {
    fs::meta_of_fd(fd).map_err(|error| SysError::from_io("fstat", format_args!(""), &error))
}

fn meta_of(opened: &TreeFile) -> SysResult<crate::model::Meta> {
    opened
        .meta()
        .map_err(|error| SysError::from_io("fstat", format_args!(""), &error))
}

/// "Wholly or not at all": takes a half-made file away again; the first error is the one told.
pub(super) fn undone_on_error(parent: &OwnedFd, name: &Path, done: SysResult<()>) -> SysResult<()> {
    if done.is_err() {
        file::unlink(parent, name).ok();
    }
    done
}

pub(super) fn missing_is_fine(done: SysResult<()>) -> SysResult<()> {
    match done {
        Err(error) if error.errno == Errno::NOENT => Ok(()),
        other => other,
    }
}
