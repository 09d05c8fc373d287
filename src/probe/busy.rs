//! Who holds a device or an image file: a virtual machine, another program, another mount
//! namespace. What somebody holds is not looked into.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;

use super::mountinfo;
use crate::sys::block;

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id, in our PID namespace.
    pub pid: u32,
    /// `comm`: at most 15 bytes, as the kernel keeps it.
    pub program: String,
}

/// Which file or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A block device, by its packed number (`st_rdev`).
    Device(u64),
    /// A regular file, by `st_dev` and `st_ino`.
    File(u64, u64),
}

impl Thing {
    /// What `path` is; `None` when it is neither a file nor a block device.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        Self::of_metadata(&fs::metadata(path).ok()?)
    }

    fn of_metadata(meta: &fs::Metadata) -> Option<Self> {
        if meta.file_type().is_block_device() {
            Some(Self::Device(meta.rdev()))
        } else if meta.is_file() {
            Some(Self::File(meta.dev(), meta.ino()))
        } else {
            None
        }
    }
}

/// Whether the kernel says that `path` is claimed (open(2) with O_EXCL).
///
/// # Errors
/// The call, with any errno but EBUSY.
pub fn is_claimed(path: &Path) -> crate::sys::SysResult<bool> {
    match block::open_exclusive(path) {
        Ok(_) => Ok(false),
        Err(error) if error.errno == Errno::BUSY => Ok(true),
        Err(error) => Err(error),
    }
}

/// Processes that have one of `things` open for writing, with the thing. A QEMU does so with a
/// disk it was given, and takes no O_EXCL.
#[must_use]
pub fn writers(things: &[Thing]) -> Vec<(Thing, Holder)> {
    let mut found = Vec::new();
    each_process(|pid, process| {
        let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
            return;
        };
        for descriptor in descriptors.flatten() {
            let meta = fs::metadata(descriptor.path());
            let Some(thing) = meta.ok().as_ref().and_then(Thing::of_metadata) else {
                continue;
            };
            let info = process.join("fdinfo").join(descriptor.file_name());
            if things.contains(&thing) && fs::read(info).is_ok_and(|info| writes(&info)) {
                found.push((thing, holder(pid, process)));
            }
        }
    });
    found.dedup();
    found
}

/// Processes in other mount namespaces that have the device `number` mounted.
#[must_use]
pub fn mounted_elsewhere(number: (u32, u32)) -> Option<Holder> {
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let mut seen = vec![own];
    let mut found = None;
    each_process(|pid, process| {
        let namespace = fs::read_link(process.join("ns/mnt")).ok();
        if found.is_some() || seen.contains(&namespace) {
            return;
        }
        seen.push(namespace);
        let table = fs::read(process.join("mountinfo")).unwrap_or_default();
        let here = |mount: &mountinfo::Mount| mount.device == number;
        if mountinfo::parse(&table).iter().any(here) {
            found = Some(holder(pid, process));
        }
    });
    found
}

/// A process that has the device `number` open, or a file of the filesystem on it: where a mount
/// is attached nowhere, that is all there is to see of it.
#[must_use]
pub fn opener(number: (u32, u32)) -> Option<Holder> {
    let number = rustix::fs::makedev(number.0, number.1);
    let mut found = None;
    each_process(|pid, process| {
        if found.is_some() || parent_of(process) == Some(std::process::id()) {
            return;
        }
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        let uses = descriptors.flatten().any(|descriptor| {
            let meta = fs::metadata(descriptor.path());
            meta.is_ok_and(|meta| {
                meta.dev() == number || Thing::of_metadata(&meta) == Some(Thing::Device(number))
            })
        });
        if uses {
            found = Some(holder(pid, process));
        }
    });
    found
}

/// The number of the mount that a descriptor leads to.
#[must_use]
pub fn mount_of(fd: impl AsFd) -> Option<u64> {
    let number = fd.as_fd().as_raw_fd();
    mount_in(&fs::read(format!("/proc/self/fdinfo/{number}")).ok()?)
}

/// Whether a descriptor of this process, or of a child of it, leads to the mount of this number.
/// What a colleague has leads to a mount of their own.
#[must_use]
pub fn is_held_here(mount: u64) -> bool {
    let mut held = leads_to(Path::new("/proc/self"), mount);
    each_process(|_, process| {
        held = held || parent_of(process) == Some(std::process::id()) && leads_to(process, mount);
    });
    held
}

fn leads_to(process: &Path, mount: u64) -> bool {
    let infos = fs::read_dir(process.join("fdinfo")).into_iter().flatten();
    infos.flatten().any(|info| {
        let text = fs::read(info.path()).unwrap_or_default();
        mount_in(&text) == Some(mount)
    })
}

/// The `mnt_id:` line of proc_pid_fdinfo(5).
fn mount_in(info: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(info);
    let field = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    field.trim().parse().ok()
}

/// The fourth field of proc_pid_stat(5). The second is the program's name in parentheses, and may
/// hold any byte.
fn parent_of(process: &Path) -> Option<u32> {
    let stat = fs::read(process.join("stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    let (_, behind) = text.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn each_process(mut look: impl FnMut(u32, &Path)) {
    let Ok(processes) = fs::read_dir("/proc") else {
        return;
    };
    let own = std::process::id();
    for process in processes.flatten() {
        let name = process.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.filter(|pid| *pid != own) {
            look(pid, &process.path());
        }
    }
}

fn holder(pid: u32, process: &Path) -> Holder {
    let comm = fs::read(process.join("comm")).unwrap_or_default();
    Holder {
        pid,
        program: String::from_utf8_lossy(comm.trim_ascii_end()).into_owned(),
    }
}

/// Whether the `flags:` line of proc_pid_fdinfo(5), in octal, has O_WRONLY or O_RDWR.
fn writes(info: &[u8]) -> bool {
    let text = String::from_utf8_lossy(info);
    text.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 3 != 0)
}

/// A name for the holder, as the scan shows it: "qemu-system-x86, pid 2211".
impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let program: &OsStr = self.program.as_ref();
        write!(f, "{}, pid {}", program.to_string_lossy(), self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_read_from_fdinfo() {
        let table: [(&[u8], bool); 4] = [
            (b"pos:\t0\nflags:\t0100002\nmnt_id:\t9\n", true),
            (b"flags:\t0100001\n", true),
            (b"flags:\t0100000\n", false),
            (b"", false),
        ];
        for (info, wanted) in table {
            assert_eq!(writes(info), wanted);
        }
    }

    #[test]
    fn a_mount_is_held_while_a_descriptor_leads_to_it() {
        assert_eq!(
            mount_in(b"pos:\t0\nflags:\t012\nmnt_id:\t417\nino:\t2\n"),
            Some(417)
        );
        assert_eq!(mount_in(b"pos:\t0\n"), None);
        let proc = fs::File::open("/proc/self").unwrap();
        let mount = mount_of(&proc).unwrap();
        assert!(is_held_here(mount));
        assert!(!is_held_here(u64::MAX));
        assert_eq!(
            parent_of(Path::new("/proc/self")),
            Some(std::os::unix::process::parent_id())
        );
    }

    #[test]
    fn a_file_is_known_by_device_and_inode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let thing = Thing::of(file.path()).unwrap();
        assert!(matches!(thing, Thing::File(..)));
        assert!(
            writers(&[thing]).is_empty(),
            "our own descriptors do not count"
        );
        assert_eq!(Thing::of(Path::new("/proc")), None);
    }
}
