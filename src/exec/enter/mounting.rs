//! Mounts in the init's own namespace, on descriptors only.
//!
//! The root is cloned as a detached tree and attached over the init's `/`, where no name leads to
//! it; every target is resolved from its descriptor and cannot leave it, whatever is swapped in
//! the root meanwhile. Kernels without these calls (ENOSYS) get mount(2) on `/proc/self/fd/N`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::io::Errno;

use super::{RootDirectory, files};
use crate::model::{FileId, HostPath, MountFlags, RootPath, parse_mountinfo};
use crate::plan::{BindSource, FileOp, MountOp};
use crate::root::{Host, InRoot, read};
use crate::sys::mount::{self, FsOption, Propagation, legacy};
use crate::sys::{self, SysError, SysResult};

/// What a step did.
#[derive(Debug, Default)]
pub(super) struct Deed {
    /// The filesystem that was made.
    pub(super) device: Option<u64>,
    /// It was done otherwise than planned.
    pub(super) note: Option<String>,
}

/// The new root while it is put together.
#[derive(Debug)]
pub(super) struct Mounting {
    source: RootDirectory,
    /// The tmpfs of lent tools, until it is attached.
    lent: Option<OwnedFd>,
    /// ROOT as it is below everything.
    original: Option<InRoot>,
    /// What will be `/`.
    tree: Option<InRoot>,
    /// Filesystems that this session made.
    ours: Vec<u64>,
}

impl Mounting {
    pub(super) fn new(source: RootDirectory, lent: Option<OwnedFd>) -> Self {
        Self {
            source,
            lent,
            original: None,
            tree: None,
            ours: Vec::new(),
        }
    }

    /// What will be `/`.
    pub(super) fn tree(&self) -> SysResult<&InRoot> {
        self.tree
            .as_ref()
            .ok_or_else(|| SysError::new("enter", format_args!("no tree was made"), Errno::INVAL))
    }

    /// ROOT itself, where it has a name. Nothing can be bound from it afterwards.
    pub(super) fn take_original(&mut self) -> Option<InRoot> {
        self.original.take()
    }

    pub(super) fn perform_file(&self, op: &FileOp) -> SysResult<Deed> {
        files::perform(op, self.tree()?, &self.ours)?;
        Ok(Deed::default())
    }

    pub(super) fn perform(&mut self, op: &MountOp) -> SysResult<Deed> {
        match op {
            MountOp::Tree => self.take_tree(),
            MountOp::Skeleton => self.make_skeleton(),
            MountOp::ReadOnly => self.forbid_writing(),
            MountOp::HostTree => {
                let root = sys::fs::open_directory_path(CWD, Path::new("/"))
                    .map_err(|error| failed_open(Path::new("/"), &error))?;
                self.tree = Some(InRoot::from_fd(root));
                Ok(Deed::default())
            }
            MountOp::New {
                fstype,
                source,
                options,
                flags,
                target,
            } => self.make(fstype, source, options, *flags, target),
            MountOp::Lent { target } => self.attach_lent(target),
            MountOp::Bind {
                source,
                target,
                recursive,
                read_only,
                over_link,
            } => {
                let target = if *over_link {
                    self.tree()?.handle_nofollow(target)
                } else {
                    self.tree()?.handle(target)
                }
                .map_err(|error| failed_open(target.as_path(), &error))?;
                let source = self.open_source(source)?;
                bind(self.tree()?, &source, &target, (*recursive, *read_only))?;
                Ok(Deed::default())
            }
        }
    }

    fn open_source(&self, source: &BindSource) -> SysResult<OwnedFd> {
        match source {
            BindSource::Host(path) => sys::fs::open_path(CWD, path.as_path())
                .map_err(|error| failed_open(path.as_path(), &error)),
            BindSource::Root(path) => {
                let root = self.original.as_ref().ok_or_else(|| {
                    SysError::new("enter", format_args!("the root has no name"), Errno::INVAL)
                })?;
                root.handle(path)
                    .map_err(|error| failed_open(path.as_path(), &error))
            }
            BindSource::Tree(path) => self
                .tree()?
                .handle(path)
                .map_err(|error| failed_open(path.as_path(), &error)),
        }
    }

    /// Opens ROOT again in this namespace: a descriptor from outside cannot be cloned here.
    fn open_root(&mut self) -> SysResult<()> {
        if let RootDirectory::Path { path, id } = &self.source {
            self.original = Some(InRoot::from_fd(open_same(path, *id)?));
        }
        Ok(())
    }

    fn take_tree(&mut self) -> SysResult<Deed> {
        self.open_root()?;
        let tree = match (&self.source, &self.original) {
            (RootDirectory::Detached(mount), _) => {
                mount::attach_over_root(mount)?;
                mount
                    .try_clone()
                    .map_err(|error| SysError::from_io("fcntl", format_args!("F_DUPFD"), &error))?
            }
            (RootDirectory::Path { .. }, Some(root)) => clone_over_root(root.fd())?,
            (RootDirectory::Path { path, .. }, None) => {
                return Err(SysError::new(
                    "openat",
                    format_args!("{path}"),
                    Errno::NOENT,
                ));
            }
        };
        make_private(&tree)?;
        let device = match &self.source {
            RootDirectory::Detached(_) => Some(device_of(&tree)?),
            RootDirectory::Path { .. } => None,
        };
        self.ours.extend(device);
        self.tree = Some(InRoot::from_fd(tree));
        Ok(Deed { device, note: None })
    }

    fn make_skeleton(&mut self) -> SysResult<Deed> {
        self.open_root()?;
        let options = [(String::from("mode"), Some(String::from("755")))];
        let flags = MountFlags {
            no_suid: true,
            no_dev: true,
            ..MountFlags::default()
        };
        let tree = new_over_root(&options, flags)?;
        make_private(&tree)?;
        let device = device_of(&tree)?;
        self.ours.push(device);
        self.tree = Some(InRoot::from_fd(tree));
        Ok(Deed {
            device: Some(device),
            note: None,
        })
    }

    fn attach_lent(&mut self, target: &RootPath) -> SysResult<Deed> {
        let made = self.lent.take().ok_or_else(|| {
            SysError::new("move_mount", format_args!("nothing is lent"), Errno::INVAL)
        })?;
        let place = self
            .tree()?
            .handle(target)
            .map_err(|error| failed_open(target.as_path(), &error))?;
        let device = device_of(&made)?;
        mount::attach(made, &place)?;
        self.ours.push(device);
        Ok(Deed {
            device: Some(device),
            note: None,
        })
    }

    /// Each mount of the tree by itself where the kernel cannot do all at once (before 5.12).
    fn forbid_writing(&self) -> SysResult<Deed> {
        let tree = self.tree()?;
        match mount::forbid(tree.fd(), MountFlags::default().read_only(), true) {
            Err(error) if mount::is_absent(&error) => {
                for line in mount_table()? {
                    let place = tree.handle(&RootPath::new(&line.point));
                    let is_inside = place.as_ref().is_ok_and(|place| {
                        device_of(place).is_ok_and(|device| device == line.device)
                    });
                    if let (true, Ok(place)) = (is_inside, place) {
                        legacy::make_read_only(place)?;
                    }
                }
            }
            done => done?,
        }
        Ok(Deed::default())
    }

    fn make(
        &mut self,
        fstype: &str,
        source: &str,
        options: &[FsOption],
        flags: MountFlags,
        target: &RootPath,
    ) -> SysResult<Deed> {
        let place = self
            .tree()?
            .handle(target)
            .map_err(|error| failed_open(target.as_path(), &error))?;
        match new_on(&place, fstype, source, options, flags) {
            Ok(()) => {}
            // Something of /proc is covered here (a container), so a fresh one would show too
            // much; or there is no network namespace of our own for a sysfs.
            Err(error) if error.errno == Errno::PERM && ["proc", "sysfs"].contains(&fstype) => {
                let path = if fstype == "proc" { "/proc" } else { "/sys" };
                let host = self.open_source(&BindSource::Host(HostPath::new(path)))?;
                bind(self.tree()?, &host, &place, (true, flags.read_only))?;
                let note = format!(
                    "a {fstype} of its own is not allowed here, so the root shows the host's {path}"
                );
                return Ok(Deed {
                    device: None,
                    note: Some(note),
                });
            }
            Err(error) => return Err(error),
        }
        // Looked up again: now the same name leads to what was just mounted.
        let made = self
            .tree()?
            .handle(target)
            .map_err(|error| failed_open(target.as_path(), &error))?;
        let device = device_of(&made)?;
        self.ours.push(device);
        Ok(Deed {
            device: Some(device),
            note: None,
        })
    }
}

fn clone_over_root(root: impl AsFd) -> SysResult<OwnedFd> {
    let attached = mount::clone_detached(&root, true).and_then(|tree| {
        mount::attach_over_root(&tree)?;
        Ok(tree)
    });
    match attached {
        Err(error) if mount::is_absent(&error) => {
            legacy::bind_over_root(&root)?;
            mount::open_over_root()
        }
        done => done,
    }
}

fn new_over_root(options: &[FsOption], flags: MountFlags) -> SysResult<OwnedFd> {
    let attached = mount::new_detached("tmpfs", "newroot", options, flags).and_then(|made| {
        mount::attach_over_root(&made)?;
        Ok(made)
    });
    match attached {
        Err(error) if mount::is_absent(&error) => {
            let root = sys::fs::open_path(CWD, Path::new("/"))
                .map_err(|error| failed_open(Path::new("/"), &error))?;
            legacy::mount_new("tmpfs", "newroot", options, flags, &root)?;
            mount::open_over_root()
        }
        done => done,
    }
}

fn new_on(
    place: &OwnedFd,
    fstype: &str,
    source: &str,
    options: &[FsOption],
    flags: MountFlags,
) -> SysResult<()> {
    let attached = mount::new_detached(fstype, source, options, flags)
        .and_then(|made| mount::attach(made, place));
    match attached {
        Err(error) if mount::is_absent(&error) => {
            legacy::mount_new(fstype, source, options, flags, place)
        }
        done => done,
    }
}

fn bind(
    tree: &InRoot,
    source: &OwnedFd,
    place: &OwnedFd,
    (recursive, read_only): (bool, bool),
) -> SysResult<()> {
    let flags = MountFlags::default().read_only();
    let attached = mount::clone_detached(source, recursive).and_then(|copy| {
        if read_only {
            mount::forbid(&copy, flags, recursive)?;
        }
        mount::attach(copy, place)
    });
    match attached {
        Err(error) if mount::is_absent(&error) => {
            bind_by_name(tree, source, place, (recursive, read_only))
        }
        done => done,
    }
}

fn bind_by_name(
    tree: &InRoot,
    source: &OwnedFd,
    place: &OwnedFd,
    (recursive, read_only): (bool, bool),
) -> SysResult<()> {
    let before = mount_table()?;
    legacy::bind(source, place, recursive)?;
    if !read_only {
        return Ok(());
    }
    // mount(2) makes one mount read-only at a time. What is new in the table is what was bound.
    let known: Vec<u64> = before.iter().map(|line| line.id).collect();
    for line in mount_table()? {
        if !known.contains(&line.id) {
            // The tree lies over this process's root, so the table's names are names in the tree.
            let made = tree
                .handle(&RootPath::new(&line.point))
                .map_err(|error| failed_open(&line.point, &error))?;
            legacy::make_read_only(made)?;
        }
    }
    Ok(())
}

/// The mounts of this process's namespace, as seen from its root.
pub(super) fn mount_table() -> SysResult<Vec<crate::model::MountLine>> {
    let path = RootPath::new("/proc/self/mountinfo");
    let bytes = read(&Host, &path, 16 << 20)
        .map_err(|error| SysError::from_io("read", format_args!("{path}"), &error))?;
    Ok(parse_mountinfo(&bytes))
}

fn make_private(tree: &OwnedFd) -> SysResult<()> {
    match mount::propagate(tree, Propagation::Private, true) {
        Err(error) if mount::is_absent(&error) => {
            legacy::propagate(tree, Propagation::Private, true)
        }
        done => done,
    }
}

fn open_same(path: &HostPath, id: FileId) -> SysResult<OwnedFd> {
    let directory = sys::fs::open_directory_path(CWD, path.as_path())
        .map_err(|error| failed_open(path.as_path(), &error))?;
    let found =
        sys::fs::meta_of_fd(&directory).map_err(|error| failed_open(path.as_path(), &error))?;
    if found.id == id {
        return Ok(directory);
    }
    Err(SysError::new(
        "openat",
        format_args!("{path}: replaced meanwhile"),
        Errno::STALE,
    ))
}

fn device_of(fd: impl AsFd) -> SysResult<u64> {
    sys::fs::meta_of_fd(fd)
        .map(|meta| meta.id.device)
        .map_err(|error| SysError::from_io("fstat", format_args!(""), &error))
}

fn failed_open(path: &Path, error: &std::io::Error) -> SysError {
    SysError::from_io("openat2", format_args!("{path:?}"), error)
}
