//! Mounts on file descriptors: a mount is made detached and attached to a descriptor, so no name
//! that somebody else may swap is looked up twice.
//!
//! The calls of Linux 5.2 and 5.12 answer ENOSYS on older kernels; [`legacy`] has what mount(2)
//! can do instead, through `/proc/self/fd/N`.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use super::{SysError, SysResult};
use crate::model::MountFlags;

pub mod legacy;

/// How mounts and unmounts elsewhere reach a mount (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// From its master to it, never back.
    Slave,
}

/// An option of a filesystem: a flag, or a key with its value.
pub type FsOption = (String, Option<String>);

/// Whether this kernel has a driver for the type; a module is loaded for the answer.
#[must_use]
pub fn is_known(fstype: &str) -> bool {
    let opened = rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC);
    !matches!(opened, Err(Errno::NODEV))
}

/// fsopen(2), fsconfig(2), fsmount(2): a new mount that is nowhere yet.
///
/// # Errors
/// The first call that failed; ENOSYS before Linux 5.2.
pub fn new_detached(
    fstype: &str,
    source: &str,
    options: &[FsOption],
    flags: MountFlags,
) -> SysResult<OwnedFd> {
    let context = rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| SysError::new("fsopen", format_args!("{fstype:?}"), errno))?;
    let set = |key: &str, value: Option<&str>| {
        match value {
            Some(value) => rustix::mount::fsconfig_set_string(&context, key, value),
            None => rustix::mount::fsconfig_set_flag(&context, key),
        }
        .map_err(|errno| {
            SysError::new(
                "fsconfig",
                format_args!("{fstype:?}, {key:?}, {value:?}"),
                errno,
            )
        })
    };
    set("source", Some(source))?;
    if flags.read_only {
        // The superblock is ours, so it can be read-only itself; a flag of the mount follows.
        set("ro", None)?;
    }
    for (key, value) in options {
        set(key, value.as_deref())?;
    }
    rustix::mount::fsconfig_create(&context).map_err(|errno| {
        let said = messages(&context);
        SysError::new(
            "fsconfig",
            format_args!("{fstype:?}, {source:?}, FSCONFIG_CMD_CREATE{said}"),
            errno,
        )
    })?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes(flags))
        .map_err(|errno| SysError::new("fsmount", format_args!("{fstype:?}, {flags}"), errno))
}

/// What the filesystem wrote into its context: one message a read(2), with `e `, `w ` or `i `
/// before it; ENODATA when there is no more (fsopen(2)).
fn messages(context: impl AsFd) -> String {
    const MOST: usize = 16;
    let mut said = String::new();
    let mut buffer = [0_u8; 1024];
    for _ in 0..MOST {
        match rustix::io::read(&context, &mut buffer) {
            Ok(count) if count > 0 => {
                said.push_str("; ");
                said.push_str(String::from_utf8_lossy(&buffer[..count]).trim());
            }
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
    said
}

/// open_tree(OPEN_TREE_CLONE): a copy of the mount at `directory`, detached. It must be in the
/// caller's mount namespace (EINVAL otherwise).
///
/// # Errors
/// The errno of open_tree(2); ENOSYS before Linux 5.2.
pub fn clone_detached(directory: impl AsFd, recursive: bool) -> SysResult<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(directory, "", flags).map_err(|errno| {
        SysError::new(
            "open_tree",
            format_args!("OPEN_TREE_CLONE, recursive: {recursive}"),
            errno,
        )
    })
}

/// move_mount(2) of one descriptor onto another. `target` may be a handle on a symbolic link:
/// then the mount covers the link itself.
///
/// # Errors
/// The errno of move_mount(2).
pub fn attach(mount: impl AsFd, target: impl AsFd) -> SysResult<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", target, "", flags)
        .map_err(|errno| SysError::new("move_mount", format_args!("onto a descriptor"), errno))
}

/// move_mount(2) over the caller's `/`. What is below stays the caller's root: only a descriptor
/// leads to the new one.
///
/// # Errors
/// The errno of move_mount(2).
pub fn attach_over_root(mount: impl AsFd) -> SysResult<()> {
    rustix::mount::move_mount(mount, "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| SysError::new("move_mount", format_args!("\"/\""), errno))
}

/// Opens what was mounted over `/` last: `..` at the root stays there, but crosses into mounts.
///
/// # Errors
/// The errno of open(2).
pub fn open_over_root() -> SysResult<OwnedFd> {
    super::fs::open_directory_path(CWD, Path::new("/.."))
        .map_err(|error| SysError::from_io("openat", format_args!("\"/..\""), &error))
}

/// mount_setattr(2): forbids more on a mount, and on those below it.
///
/// # Errors
/// The errno of mount_setattr(2); ENOSYS before Linux 5.12.
pub fn forbid(mount: impl AsFd, flags: MountFlags, recursive: bool) -> SysResult<()> {
    set_attributes(mount, u64::from(attributes(flags).bits()), 0, recursive)
}

/// mount_setattr(2): sets how mounts elsewhere reach this one.
///
/// # Errors
/// The errno of mount_setattr(2); ENOSYS before Linux 5.12.
pub fn propagate(mount: impl AsFd, how: Propagation, recursive: bool) -> SysResult<()> {
    let kind = match how {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
    };
    set_attributes(mount, 0, kind, recursive)
}

#[expect(unsafe_code, reason = "neither nix nor rustix has mount_setattr")]
fn set_attributes(mount: impl AsFd, set: u64, kind: u64, recursive: bool) -> SysResult<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: kind,
        userns_fd: 0,
    };
    let deep = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated string, and the struct lives through the call with the
    // size that is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | deep,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    Err(SysError::new(
        "mount_setattr",
        format_args!("set {set:#x}, propagation {kind:#x}, recursive: {recursive}"),
        super::last_errno(),
    ))
}

/// mount(NULL, "/", MS_REC|MS_SLAVE): everything that is inherited.
///
/// # Errors
/// The errno of mount(2).
pub fn enslave_root() -> SysResult<()> {
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags)
        .map_err(|errno| SysError::new("mount", format_args!("\"/\", MS_REC|MS_SLAVE"), errno))
}

/// pivot_root(".", "."): the working directory becomes `/`, the old root is mounted over it.
///
/// # Errors
/// EINVAL when the old root is the initramfs or no mount point; otherwise as pivot_root(2).
pub fn pivot_here() -> SysResult<()> {
    rustix::process::pivot_root(".", ".")
        .map_err(|errno| SysError::new("pivot_root", format_args!("\".\", \".\""), errno))
}

/// umount2(2) of a name that is not followed as a link.
///
/// # Errors
/// EBUSY when somebody uses it; EINVAL when it is no mount point or locked.
pub fn unmount(path: &Path, lazily: bool) -> SysResult<()> {
    let flags = if lazily {
        UnmountFlags::DETACH | UnmountFlags::NOFOLLOW
    } else {
        UnmountFlags::NOFOLLOW
    };
    rustix::mount::unmount(path, flags)
        .map_err(|errno| SysError::new("umount2", format_args!("{path:?}, {flags:?}"), errno))
}

/// Whether the call is one that this kernel does not have.
#[must_use]
pub fn is_absent(error: &SysError) -> bool {
    error.errno == Errno::NOSYS
}

fn attributes(flags: MountFlags) -> MountAttrFlags {
    let table = [
        (flags.read_only, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (flags.no_suid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (flags.no_dev, MountAttrFlags::MOUNT_ATTR_NODEV),
        (flags.no_exec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ];
    table
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .collect()
}

/// `/proc/self/fd/N`: a name for calls that take none but names.
#[must_use]
pub fn name_of(fd: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(OsStr::new(&fd.as_fd().as_raw_fd().to_string()))
}
