//! Operations on storage: what stands between a disk and a mounted tree. Each has an inverse;
//! undone in reverse they leave the machine as it was.
//!
//! A device is named as the look before this step saw it: what an earlier step makes is looked
//! for again before the next one is decided.

use std::fmt;
use std::path::{Path, PathBuf};

use super::mount::word;
use crate::model::{HostPath, MountFlags, RootPath, shell_word};

/// A part of a file or disk as a device of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopPart {
    /// The image file, or the disk.
    pub file: PathBuf,
    /// What people call the part: `disk.img p2`.
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Length in bytes; 0: up to the end.
    pub size: u64,
    /// Nothing can be written through it.
    pub read_only: bool,
}

/// An md array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The name below /dev/md.
    pub name: String,
    /// As mdadm and blkid write it.
    pub uuid: String,
    /// Its members that are here.
    pub members: Vec<PathBuf>,
    /// Not even its superblocks are written.
    pub read_only: bool,
    /// Members are missing, and it shall start all the same.
    pub degraded: bool,
}

/// An encrypted volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypt {
    /// What it lies on.
    pub device: PathBuf,
    /// What people call that: `sda5`.
    pub shown: String,
    /// UUID of the LUKS header.
    pub uuid: String,
    /// As `scan` calls it: `luks-91bc`.
    pub id: String,
    /// Nothing can be written through it.
    pub read_only: bool,
    /// crypttab says `discard`.
    pub discards: bool,
}

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its UUID with dashes, as LVM writes it.
    pub uuid: String,
    /// Its volumes can be read only.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A filesystem.
    Device {
        /// Where it lies.
        device: PathBuf,
        /// For showing only: it is a part of this file that has no device yet.
        part: Option<LoopPart>,
        /// The driver.
        driver: String,
        /// Its options.
        options: Vec<(String, Option<String>)>,
        /// Those without which it would be another tree, or be written to: what is tried when the
        /// driver does not know one of the others.
        essential: Vec<(String, Option<String>)>,
        /// Behind a read-only loop device: the driver writes even on a read-only mount (ext4 takes
        /// away files that were deleted while open), unless the device refuses it.
        shield: bool,
    },
    /// A directory of the root filesystem takes the root's place (an ostree deployment).
    Deployment(RootPath),
    /// A directory of the filesystem that the deployment lies in.
    Physical(RootPath),
    /// A directory of the tree.
    Bind(RootPath),
    /// A mount that somebody made, with what is mounted below it.
    Adopted(HostPath),
    /// A network filesystem: mount(8) has the helpers.
    Network {
        /// `srv:/export`
        source: String,
        /// `nfs`
        kind: String,
        /// Those of fstab that may be passed on.
        options: String,
    },
}

/// A mount of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// What is mounted.
    pub what: What,
    /// What people call it: `sda2`.
    pub shown: String,
    /// What the mount forbids.
    pub flags: MountFlags,
    /// Where, inside the target: the first of these that is a directory.
    pub points: Vec<RootPath>,
    /// Only where the directory is empty.
    pub only_empty: bool,
    /// It shows in the caller's mount namespace, and so outlives the process.
    pub lasting: bool,
}

impl Mounted {
    /// The place it is meant for.
    #[must_use]
    pub fn point(&self) -> RootPath {
        self.points.first().cloned().unwrap_or_else(RootPath::root)
    }
}

/// One operation on storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageOp {
    /// losetup(8)
    Attach(LoopPart),
    /// The inverse.
    Detach(LoopPart),
    /// mdadm --assemble
    Assemble(Array),
    /// The inverse.
    Stop(Array),
    /// cryptsetup open, under a name of the session's
    Unlock(Crypt),
    /// The inverse, with what udev put upon it.
    Lock(Crypt),
    /// dmsetup rename: the name of the target's crypttab. Locking finds it by its uuid.
    Rename {
        /// Which.
        crypt: Crypt,
        /// The new name.
        name: String,
    },
    /// vgchange -ay
    Activate(Group),
    /// The inverse: what was active before stays so.
    Deactivate(Group),
    /// The directory that is mounted on.
    MakeRoot(HostPath),
    /// The inverse.
    RemoveRoot(HostPath),
    /// A mount.
    Mount(Mounted),
    /// The inverse.
    Unmount(Mounted),
}

impl StorageOp {
    /// The operation that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        Some(match self {
            Self::Attach(part) => Self::Detach(part.clone()),
            Self::Assemble(array) => Self::Stop(array.clone()),
            Self::Unlock(crypt) => Self::Lock(crypt.clone()),
            Self::Activate(group) => Self::Deactivate(group.clone()),
            Self::MakeRoot(path) => Self::RemoveRoot(path.clone()),
            Self::Mount(mount) => Self::Unmount(mount.clone()),
            _ => return None,
        })
    }

    /// The shell command that does the same for a target mounted at `base`.
    ///
    /// # Errors
    /// Those of the formatter.
    pub fn shell(&self, base: &HostPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach(part) => write!(f, "losetup --find --show{}", losetup(part)),
            Self::Detach(part) => write!(
                f,
                "losetup -d \"$(losetup -n -O NAME -j {} -o {})\"",
                word(&part.file),
                part.start
            ),
            Self::Assemble(array) => assemble(array, f),
            Self::Stop(array) => {
                write!(
                    f,
                    "mdadm --stop {}",
                    word(&Path::new("/dev/md").join(&array.name))
                )
            }
            Self::Unlock(crypt) => {
                f.write_str("cryptsetup open")?;
                if crypt.read_only {
                    f.write_str(" --readonly")?;
                }
                if crypt.discards && !crypt.read_only {
                    f.write_str(" --allow-discards")?;
                }
                write!(f, " {} {}", word(&crypt.device), plain(&crypt.id))
            }
            Self::Lock(crypt) => write!(f, "cryptsetup close {}", plain(&crypt.id)),
            Self::Rename { crypt, name } => {
                write!(f, "dmsetup rename {} {}", plain(&crypt.id), plain(name))
            }
            Self::Activate(group) => {
                f.write_str("vgchange -ay")?;
                if group.read_only {
                    let list = format!("activation/read_only_volume_list=[\"{}\"]", group.name);
                    write!(f, " --config {}", plain(&list))?;
                }
                write!(f, " --select {}", plain(&selection(group)))
            }
            Self::Deactivate(group) => {
                write!(f, "vgchange -an --select {}", plain(&selection(group)))
            }
            Self::MakeRoot(path) => write!(f, "mkdir {}", word(path.as_path())),
            Self::RemoveRoot(path) => write!(f, "rmdir {}", word(path.as_path())),
            Self::Mount(mount) => mount_shell(mount, base, f),
            Self::Unmount(mount) => {
                write!(f, "umount {}", word(&base.show_inside(&mount.point())))
            }
        }
    }
}

/// How LVM is told which group: by UUID, since two groups may have one name.
#[must_use]
pub fn selection(group: &Group) -> String {
    format!("vg_uuid={}", group.uuid)
}

fn plain(text: &str) -> String {
    shell_word(text.as_bytes())
}

fn losetup(part: &LoopPart) -> String {
    let mut text = String::new();
    if part.read_only {
        text.push_str(" --read-only");
    }
    if part.start > 0 {
        text.push_str(&format!(" --offset {}", part.start));
    }
    if part.size > 0 {
        text.push_str(&format!(" --sizelimit {}", part.size));
    }
    format!("{text} {}", word(&part.file))
}

fn assemble(array: &Array, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("mdadm --assemble")?;
    if array.read_only {
        f.write_str(" --readonly")?;
    }
    if array.degraded {
        f.write_str(" --run")?;
    }
    write!(f, " {}", word(&Path::new("/dev/md").join(&array.name)))?;
    for member in &array.members {
        write!(f, " {}", word(member))?;
    }
    Ok(())
}

fn mount_shell(mount: &Mounted, base: &HostPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let target = word(&base.show_inside(&mount.point()));
    let read_only = |f: &mut fmt::Formatter<'_>| {
        if mount.flags.read_only {
            write!(f, "\nmount -o remount,bind,ro {target}")
        } else {
            Ok(())
        }
    };
    match &mount.what {
        What::Device {
            device,
            part,
            driver,
            options,
            ..
        } => {
            let mut words = Vec::new();
            if mount.flags != MountFlags::default() {
                words.push(mount.flags.to_string());
            }
            words.extend(options.iter().map(|(key, value)| match value {
                Some(value) => format!("{key}={value}"),
                None => key.clone(),
            }));
            let mut source = word(device);
            if let Some(part) = part {
                words.push(format!("loop,offset={}", part.start));
                if part.size > 0 {
                    words.push(format!("sizelimit={}", part.size));
                }
                source = word(&part.file);
            }
            write!(f, "mount -t {}", plain(driver))?;
            if !words.is_empty() {
                write!(f, " -o {}", plain(&words.join(",")))?;
            }
            write!(f, " {source} {target}")
        }
        What::Deployment(from) | What::Physical(from) | What::Bind(from) => {
            write!(f, "mount --bind {} {target}", word(&base.show_inside(from)))?;
            read_only(f)
        }
        What::Adopted(from) => {
            write!(
                f,
                "mount --rbind {} {target}\nmount --make-rslave {target}",
                word(from.as_path())
            )?;
            read_only(f)
        }
        What::Network {
            source,
            kind,
            options,
        } => write!(
            f,
            "mount -t {} -o {} -- {} {target}",
            plain(kind),
            plain(options),
            plain(source)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<'a>(&'a StorageOp);

    impl fmt::Display for Shown<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.shell(&HostPath::new("/mnt"), f)
        }
    }

    fn root(part: Option<LoopPart>) -> StorageOp {
        StorageOp::Mount(Mounted {
            what: What::Device {
                device: "/dev/sda2".into(),
                part,
                driver: "btrfs".into(),
                options: vec![
                    ("rescue".into(), Some("nologreplay".into())),
                    ("subvol".into(), Some("/@ x".into())),
                ],
                essential: Vec::new(),
                shield: false,
            },
            shown: "sda2".into(),
            flags: MountFlags::default().read_only(),
            points: vec![RootPath::root()],
            only_empty: false,
            lasting: true,
        })
    }

    #[test]
    fn the_shell_form_is_what_a_person_would_type() {
        let part = LoopPart {
            file: "/srv/a b.img".into(),
            name: "a b.img p2".into(),
            start: 1048576,
            size: 4096,
            read_only: true,
        };
        let crypt = Crypt {
            device: "/dev/sda5".into(),
            shown: "sda5".into(),
            uuid: "91bc".into(),
            id: "luks-91bc".into(),
            read_only: true,
            discards: true,
        };
        let group = Group {
            name: "vg".into(),
            uuid: "a-b".into(),
            read_only: true,
        };
        let array = Array {
            name: "data".into(),
            uuid: "x".into(),
            members: vec!["/dev/sda1".into()],
            read_only: true,
            degraded: true,
        };
        let table = [
            (
                StorageOp::Attach(part.clone()),
                "losetup --find --show --read-only --offset 1048576 --sizelimit 4096 '/srv/a b.img'",
            ),
            (
                StorageOp::Unlock(crypt.clone()),
                "cryptsetup open --readonly /dev/sda5 luks-91bc",
            ),
            (
                StorageOp::Rename {
                    crypt,
                    name: "root_crypt".into(),
                },
                "dmsetup rename luks-91bc root_crypt",
            ),
            (
                StorageOp::Activate(group),
                "vgchange -ay --config 'activation/read_only_volume_list=[\"vg\"]' --select vg_uuid=a-b",
            ),
            (
                StorageOp::Assemble(array),
                "mdadm --assemble --readonly --run /dev/md/data /dev/sda1",
            ),
            (
                root(None),
                "mount -t btrfs -o 'ro,rescue=nologreplay,subvol=/@ x' /dev/sda2 /mnt",
            ),
            (
                root(Some(part)),
                "mount -t btrfs -o 'ro,rescue=nologreplay,subvol=/@ x,loop,offset=1048576,sizelimit=4096' '/srv/a b.img' /mnt",
            ),
        ];
        for (op, wanted) in table {
            assert_eq!(Shown(&op).to_string(), wanted);
            let undo = op.inverse();
            assert_eq!(
                undo.is_none(),
                matches!(op, StorageOp::Rename { .. }),
                "{op:?}"
            );
        }
    }
}
