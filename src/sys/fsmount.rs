//! The mount API that works on descriptors: fsopen(2), fsconfig(2), fsmount(2), open_tree(2).
//! Nothing is attached here: what these calls make has no place in any mount table and goes
//! away with its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};

use super::{SysError, SysResult};

/// One parameter of a filesystem, as fsconfig(2) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// A word without a value: `ro`, `noload`.
    Flag(String),
    /// `key=value`.
    Value(String, String),
}

/// What makes a looked-into filesystem harmless: nothing on it is run, opened as a device, or
/// given its set-id bits, and nothing is written to it.
pub const LOOK_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY
    .union(MountAttrFlags::MOUNT_ATTR_NOSUID)
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Makes a detached mount of `source` and returns its root directory.
///
/// # Errors
/// The call that failed, with what the filesystem said through its context (fsopen(2)). ENODEV:
/// this kernel does not know `fs_type`. EBUSY: it is mounted elsewhere with another idea of
/// read-only.
pub fn mount_detached(
    fs_type: &str,
    source: &Path,
    parameters: &[Parameter],
    attributes: MountAttrFlags,
) -> SysResult<OwnedFd> {
    let context = rustix::mount::fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|errno| SysError::new("fsopen", format_args!("{fs_type:?}"), errno))?;
    rustix::mount::fsconfig_set_string(&context, "source", source).map_err(|errno| {
        SysError::new(
            "fsconfig",
            format_args!("SET_STRING, \"source\", {source:?}"),
            errno,
        )
    })?;
    for parameter in parameters {
        set(&context, parameter)?;
    }
    if let Err(errno) = rustix::mount::fsconfig_create(&context) {
        let said = messages(&context);
        return Err(SysError::new(
            "fsconfig",
            format_args!("CREATE, {fs_type:?} on {source:?}{said}"),
            errno,
        ));
    }
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .map_err(|errno| SysError::new("fsmount", format_args!("{source:?}"), errno))
}

/// Clones the mount that `path` is on, without what is mounted over it, as a detached mount.
///
/// # Errors
/// The errno of open_tree(2): EPERM without CAP_SYS_ADMIN.
pub fn clone_detached(path: &Path) -> SysResult<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(rustix::fs::CWD, path, flags)
        .map_err(|errno| SysError::new("open_tree", format_args!("{path:?}, CLONE"), errno))
}

fn set(context: &OwnedFd, parameter: &Parameter) -> SysResult<()> {
    match parameter {
        Parameter::Flag(key) => rustix::mount::fsconfig_set_flag(context, key.as_str())
            .map_err(|errno| SysError::new("fsconfig", format_args!("SET_FLAG, {key:?}"), errno)),
        Parameter::Value(key, value) => {
            rustix::mount::fsconfig_set_string(context, key.as_str(), value.as_str()).map_err(
                |errno| {
                    let what = format_args!("SET_STRING, {key:?}, {value:?}").to_string();
                    SysError::new("fsconfig", format_args!("{what}"), errno)
                },
            )
        }
    }
}

/// What the filesystem wrote into its context: one message a read(2), `e `, `w ` or `i ` before
/// it; ENODATA when there is no more.
fn messages(context: impl AsFd) -> String {
    let mut said = String::new();
    let mut buffer = [0_u8; 1024];
    for _ in 0..16 {
        match rustix::io::read(&context, &mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                said.push_str("; ");
                said.push_str(String::from_utf8_lossy(&buffer[..count]).trim());
            }
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    said
}
