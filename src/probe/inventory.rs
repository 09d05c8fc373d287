//! Everything on this machine that may hold a filesystem, and how fstab's names find it.
//!
//! Plain data and pure look-ups; [`super::scan`] fills it.

use std::path::{Path, PathBuf};

use super::busy::Holder;
use super::crypttab;
use super::fstab::Spec;
use super::livemedium::Own;
use super::loops::Part;
use super::partitions::PartitionKind;
use super::superblock::Superblock;
use crate::model::Bytes;

/// Where a volume comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel's own device: a disk, a partition, a mapping, an array.
    Kernel,
    /// A whole image file, or a device that newroot was told to look at as one.
    Image,
    /// A part of a disk or image that newroot made a device of, for as long as it looks.
    Part,
    /// An md mirror that nobody assembled, read from one of its members.
    Mirror,
    /// A logical volume that nobody activated, read from its physical volume.
    Logical,
}

/// A volume's line in a partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The disk's name.
    pub disk: String,
    /// Its number.
    pub number: u32,
    /// What its type says it is for.
    pub kind: PartitionKind,
    /// PARTUUID; empty where there is none.
    pub uuid: String,
    /// PARTLABEL; empty where there is none.
    pub label: String,
}

/// Who uses a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nobody.
    Free,
    /// It carries other devices: names of the kernel.
    Stacked(Vec<String>),
    /// It is mounted, in our mount namespace.
    Mounted(PathBuf),
    /// Somebody holds it; who, where that can be found out.
    Held(Option<Holder>),
}

/// Something that may hold a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The name people know: `sda2`, `web03_crypt`, `disk.img p2`.
    pub name: String,
    /// The kernel's name.
    pub kernel_name: String,
    /// The node to open.
    pub path: PathBuf,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Where it comes from.
    pub origin: Origin,
    /// The file or disk it is a part of, where the kernel shows no device of its own.
    pub part: Option<Part>,
    /// Its length.
    pub size: Bytes,
    /// Vendor and model of the disk.
    pub model: String,
    /// A stick or a disc.
    pub removable: bool,
    /// Its line in a partition table.
    pub slot: Option<Slot>,
    /// `VG/LV`, for a logical volume.
    pub logical: Option<(String, String)>,
    /// Names of the disks at the bottom.
    pub disks: Vec<String>,
    /// What blkid found.
    pub superblock: Superblock,
    /// Who uses it.
    pub usage: Usage,
    /// It carries the running system.
    pub own: Option<Own>,
}

impl Volume {
    /// Whether a filesystem is on it.
    #[must_use]
    pub fn has_filesystem(&self) -> bool {
        self.superblock.usage == "filesystem" && !self.superblock.kind.is_empty()
    }

    /// Whether it is an encrypted volume that nobody opened.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.superblock.kind.as_str(), "crypto_LUKS" | "BitLocker")
            && !matches!(self.usage, Usage::Stacked(_))
    }
}

/// What a name of fstab leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This volume (an index into [`Inventory::volumes`]).
    Here(usize),
    /// It lies in this encrypted volume, which is locked.
    Locked(usize),
    /// A name that the kernel hands out anew at each boot (`/dev/sda2`): this one has it now.
    Unreliable(Option<usize>),
    /// Nothing on this machine has that name.
    Missing,
}

/// All volumes.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Disks before their partitions, otherwise by name.
    pub volumes: Vec<Volume>,
}

impl Inventory {
    /// The volume of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }

    /// What fstab's `spec` leads to, where `crypttab` says how encrypted volumes are called.
    #[must_use]
    pub fn find(&self, spec: &Spec, crypttab: &[crypttab::Entry]) -> Found {
        match spec {
            Spec::Uuid(uuid) => self.by_uuid(uuid),
            Spec::Label(label) => {
                self.by(|volume| volume.superblock.label == *label && is_content(volume))
            }
            Spec::PartUuid(uuid) => self.by_slot(|slot| slot.uuid.eq_ignore_ascii_case(uuid)),
            Spec::PartLabel(label) => self.by_slot(|slot| slot.label == *label),
            Spec::Device(path) => self.by_path(path, crypttab),
            Spec::Path(_) | Spec::Network(_) | Spec::Virtual(_) => Found::Missing,
        }
    }

    /// The line of `crypttab` that opens volume `index`.
    #[must_use]
    pub fn in_crypttab<'c>(
        &self,
        index: usize,
        crypttab: &'c [crypttab::Entry],
    ) -> Option<&'c crypttab::Entry> {
        crypttab.iter().find(|entry| {
            let found = match entry.uuid() {
                Some(uuid) => self.by_uuid(uuid),
                None => crypttab_spec(&entry.device)
                    .map_or(Found::Missing, |spec| self.find(&spec, &[])),
            };
            matches!(found, Found::Here(at) | Found::Unreliable(Some(at)) if at == index)
        })
    }

    fn by(&self, wanted: impl Fn(&Volume) -> bool) -> Found {
        let found = self.volumes.iter().position(wanted);
        found.map_or(Found::Missing, Found::Here)
    }

    /// The UUID of a filesystem, swap area or LUKS header; members of arrays and volume groups
    /// carry one too, which nobody mounts.
    fn by_uuid(&self, uuid: &str) -> Found {
        self.by(|volume| volume.superblock.uuid.eq_ignore_ascii_case(uuid) && is_content(volume))
    }

    fn by_slot(&self, wanted: impl Fn(&Slot) -> bool) -> Found {
        self.by(|volume| volume.slot.as_ref().is_some_and(&wanted))
    }

    fn by_path(&self, path: &Path, crypttab: &[crypttab::Entry]) -> Found {
        let text = path.to_string_lossy();
        let Some(name) = text.strip_prefix("/dev/") else {
            return Found::Missing;
        };
        if let Some((by, value)) = name
            .strip_prefix("disk/by-")
            .and_then(|by| by.split_once('/'))
        {
            let value = udev_unescape(value);
            return match by {
                "uuid" => self.by_uuid(&value),
                "label" => self.by(|volume| volume.superblock.label == value && is_content(volume)),
                "partuuid" => self.by_slot(|slot| slot.uuid.eq_ignore_ascii_case(&value)),
                "partlabel" => self.by_slot(|slot| slot.label == value),
                _ => self.by_link(path),
            };
        }
        if let Some(mapped) = name.strip_prefix("mapper/") {
            return self.by_mapper(mapped, crypttab);
        }
        if let Some((group, logical)) = name.split_once('/') {
            let pair = (group.to_string(), logical.to_string());
            return match self.by(|volume| volume.logical.as_ref() == Some(&pair)) {
                Found::Missing => self.by_link(path),
                found => found,
            };
        }
        let now = self
            .volumes
            .iter()
            .position(|volume| volume.kernel_name == name);
        Found::Unreliable(now)
    }

    /// `/dev/mapper/NAME`: open already, a logical volume, or encrypted under that name.
    fn by_mapper(&self, name: &str, crypttab: &[crypttab::Entry]) -> Found {
        let pair = split_mapper(name);
        let open =
            self.by(|volume| volume.name == name || (pair.is_some() && volume.logical == pair));
        if open != Found::Missing {
            return open;
        }
        let Some(entry) = crypttab.iter().find(|entry| entry.name == name) else {
            return Found::Missing;
        };
        let below = match entry.uuid() {
            Some(uuid) => self.by_uuid(uuid),
            None => match crypttab_spec(&entry.device) {
                Some(spec) => self.find(&spec, &[]),
                None => Found::Missing,
            },
        };
        match below {
            Found::Here(index) | Found::Unreliable(Some(index)) => self.opened(index),
            _ => Found::Missing,
        }
    }

    /// What stands on an encrypted volume: the volume inside when it is open.
    fn opened(&self, index: usize) -> Found {
        let volume = &self.volumes[index];
        match &volume.usage {
            Usage::Stacked(names) => self.by(|inner| names.contains(&inner.kernel_name)),
            _ => Found::Locked(index),
        }
    }

    /// A link that udev made on this machine (`by-id`, `md/name`): it says which device.
    fn by_link(&self, path: &Path) -> Found {
        let Ok(target) = std::fs::read_link(path) else {
            return Found::Missing;
        };
        let name = target
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        self.by(|volume| Some(&volume.kernel_name) == name.as_ref())
    }
}

fn is_content(volume: &Volume) -> bool {
    !matches!(volume.superblock.usage.as_str(), "raid") && !volume.superblock.kind.is_empty()
}

fn crypttab_spec(device: &str) -> Option<Spec> {
    let value = |tag: &str| {
        device
            .strip_prefix(tag)
            .map(|value| value.trim_matches('"').to_string())
    };
    value("PARTUUID=")
        .map(Spec::PartUuid)
        .or_else(|| value("LABEL=").map(Spec::Label))
        .or_else(|| value("PARTLABEL=").map(Spec::PartLabel))
        .or_else(|| {
            device
                .starts_with("/dev/")
                .then(|| Spec::Device(device.into()))
        })
}

/// Splits `vg-lv` at its single dash; a dash of a name is doubled.
#[must_use]
pub fn split_mapper(name: &str) -> Option<(String, String)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'-' {
            if bytes.get(at + 1) == Some(&b'-') {
                at += 2;
                continue;
            }
            let plain = |text: &str| text.replace("--", "-");
            let (group, logical) = (&name[..at], &name[at + 1..]);
            return (at > 0 && !logical.is_empty()).then(|| (plain(group), plain(logical)));
        }
        at += 1;
    }
    None
}

/// udev writes bytes that are awkward in a file name as `\x20`.
fn udev_unescape(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.strip_prefix(b"x").and_then(|hex| hex.get(..2));
        let byte = hex
            .filter(|_| *first == b'\\')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = byte {
            out.push(byte);
            rest = &tail[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A free volume for tests.
    pub(in crate::probe) fn volume(name: &str, kind: &str, uuid: &str) -> Volume {
        let usage = match kind {
            "crypto_LUKS" => "crypto",
            "swap" => "other",
            "linux_raid_member" | "LVM2_member" => "raid",
            _ => "filesystem",
        };
        Volume {
            name: name.into(),
            kernel_name: name.into(),
            path: format!("/dev/{name}").into(),
            number: (0, 0),
            origin: Origin::Kernel,
            part: None,
            size: Bytes(0),
            model: String::new(),
            removable: false,
            slot: None,
            logical: None,
            disks: Vec::new(),
            superblock: Superblock {
                kind: kind.into(),
                uuid: uuid.into(),
                usage: usage.into(),
                ..Superblock::default()
            },
            usage: Usage::Free,
            own: None,
        }
    }

    fn inventory() -> Inventory {
        let mut luks = volume("sda2", "crypto_LUKS", "91bc");
        luks.slot = Some(Slot {
            disk: "sda".into(),
            number: 2,
            kind: PartitionKind::Linux,
            uuid: "AB-02".into(),
            label: "crypt".into(),
        });
        let mut open = volume("sda3", "crypto_LUKS", "77aa");
        open.usage = Usage::Stacked(vec!["dm-0".into()]);
        let mut inner = volume("home_crypt", "ext4", "5555");
        inner.kernel_name = "dm-0".into();
        let mut logical = volume("vg--a-root", "xfs", "6666");
        logical.logical = Some(("vg-a".into(), "root".into()));
        let mut member = volume("sdb1", "linux_raid_member", "dddd");
        member.superblock.label = "x".into();
        let mut labelled = volume("sdb2", "vfat", "AB12-CD34");
        labelled.superblock.label = "my esp".into();
        Inventory {
            volumes: vec![luks, open, inner, logical, member, labelled],
        }
    }

    #[test]
    fn every_name_of_fstab_is_looked_up() {
        let crypttab = crypttab::parse(
            b"root_crypt UUID=91bc none\nhome_x UUID=77aa none\nother PARTUUID=ab-02 none\n",
        );
        let device = |path: &str| Spec::Device(path.into());
        let table = [
            (Spec::Uuid("ab12-cd34".into()), Found::Here(5)),
            (Spec::Uuid("dddd".into()), Found::Missing),
            (Spec::Label("x".into()), Found::Missing),
            (Spec::Label("my esp".into()), Found::Here(5)),
            (Spec::PartUuid("ab-02".into()), Found::Here(0)),
            (Spec::PartLabel("crypt".into()), Found::Here(0)),
            (device("/dev/disk/by-label/my\\x20esp"), Found::Here(5)),
            (device("/dev/disk/by-uuid/5555"), Found::Here(2)),
            (device("/dev/mapper/home_crypt"), Found::Here(2)),
            (device("/dev/mapper/home_x"), Found::Here(2)),
            (device("/dev/mapper/root_crypt"), Found::Locked(0)),
            (device("/dev/mapper/other"), Found::Locked(0)),
            (device("/dev/mapper/nobody"), Found::Missing),
            (device("/dev/mapper/vg--a-root"), Found::Here(3)),
            (device("/dev/vg-a/root"), Found::Here(3)),
            (device("/dev/sda2"), Found::Unreliable(Some(0))),
            (device("/dev/sdz9"), Found::Unreliable(None)),
        ];
        let inventory = inventory();
        for (spec, wanted) in table {
            assert_eq!(inventory.find(&spec, &crypttab), wanted, "{spec:?}");
        }
    }

    #[test]
    fn mapper_names_are_split_at_the_single_dash() {
        let table = [
            ("vg-lv", Some(("vg", "lv"))),
            ("my--vg-my--lv", Some(("my-vg", "my-lv"))),
            ("plain", None),
            ("vg--x", None),
            ("-x", None),
        ];
        for (name, wanted) in table {
            let wanted = wanted.map(|(a, b): (&str, &str)| (a.to_string(), b.to_string()));
            assert_eq!(split_mapper(name), wanted, "{name}");
        }
    }
}
