//! The same with mount(2), for kernels before 5.2: through `/proc/self/fd/N`, which names exactly
//! what the descriptor is on. sys-mount makes the calls.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::mount::MountPropagationFlags;
use sys_mount::{Mount, MountFlags as Raw};

use super::{FsOption, Propagation, name_of};
use crate::model::MountFlags;
use crate::sys::{SysError, SysResult};

/// mount(2) of a new filesystem on a descriptor.
///
/// # Errors
/// The errno of mount(2).
pub fn mount_new(
    fstype: &str,
    source: &str,
    options: &[FsOption],
    flags: MountFlags,
    target: impl AsFd,
) -> SysResult<()> {
    let data: Vec<String> = options
        .iter()
        .map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        })
        .collect();
    let data = data.join(",");
    let builder = Mount::builder()
        .fstype(fstype)
        .data(&data)
        .flags(raw(flags));
    call(builder, Path::new(source), &name_of(target))
}

/// mount(MS_BIND) of one descriptor onto another.
///
/// # Errors
/// The errno of mount(2).
pub fn bind(source: impl AsFd, target: impl AsFd, recursive: bool) -> SysResult<()> {
    bind_to(source, &name_of(target), recursive)
}

/// mount(MS_BIND) over the caller's `/`; see [`super::open_over_root`].
///
/// # Errors
/// The errno of mount(2).
pub fn bind_over_root(source: impl AsFd) -> SysResult<()> {
    bind_to(source, Path::new("/"), true)
}

fn bind_to(source: impl AsFd, target: &Path, recursive: bool) -> SysResult<()> {
    let mut flags = Raw::BIND;
    if recursive {
        flags |= Raw::REC;
    }
    // An empty type: sys-mount would try every known one otherwise.
    let builder = Mount::builder().fstype("").flags(flags);
    call(builder, &name_of(source), target)
}

/// mount(MS_REMOUNT|MS_BIND|MS_RDONLY) of this mount only. What it forbids already is repeated:
/// it would be allowed again otherwise, and in a user namespace that is refused.
///
/// # Errors
/// The errno of mount(2).
pub fn make_read_only(mount: impl AsFd) -> SysResult<()> {
    let name = name_of(&mount);
    let now = rustix::fs::fstatvfs(&mount)
        .map_err(|errno| SysError::new("fstatfs", format_args!("{name:?}"), errno))?
        .f_flag;
    let table = [
        (StatVfsMountFlags::NOSUID, Raw::NOSUID),
        (StatVfsMountFlags::NODEV, Raw::NODEV),
        (StatVfsMountFlags::NOEXEC, Raw::NOEXEC),
        (StatVfsMountFlags::NOATIME, Raw::NOATIME),
        (StatVfsMountFlags::NODIRATIME, Raw::NODIRATIME),
        (StatVfsMountFlags::RELATIME, Raw::RELATIME),
    ];
    let kept = table
        .into_iter()
        .filter(|(flag, _)| now.contains(*flag))
        .fold(Raw::empty(), |all, (_, flag)| all | flag);
    let builder = Mount::builder()
        .fstype("")
        .flags(kept | Raw::RDONLY | Raw::BIND | Raw::REMOUNT);
    call(builder, Path::new("none"), &name)
}

/// mount(MS_PRIVATE or MS_SLAVE).
///
/// # Errors
/// The errno of mount(2).
pub fn propagate(mount: impl AsFd, how: Propagation, recursive: bool) -> SysResult<()> {
    let mut flags = match how {
        Propagation::Private => MountPropagationFlags::PRIVATE,
        Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
    };
    if recursive {
        flags |= MountPropagationFlags::REC;
    }
    let name = name_of(mount);
    rustix::mount::mount_change(&name, flags)
        .map_err(|errno| SysError::new("mount", format_args!("{name:?}, {flags:?}"), errno))
}

fn call(builder: sys_mount::MountBuilder<'_>, source: &Path, target: &Path) -> SysResult<()> {
    // The guard that comes back unmounts nothing by itself: it is not the dropping kind.
    builder
        .mount(source, target)
        .map(drop)
        .map_err(|error| SysError::from_io("mount", format_args!("{source:?}, {target:?}"), &error))
}

fn raw(flags: MountFlags) -> Raw {
    let table = [
        (flags.read_only, Raw::RDONLY),
        (flags.no_suid, Raw::NOSUID),
        (flags.no_dev, Raw::NODEV),
        (flags.no_exec, Raw::NOEXEC),
    ];
    table
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .fold(Raw::empty(), |all, flag| all | flag)
}
