//! Which step comes next, and how an fstab becomes mounts.

mod layers;
mod mounts;
mod refusals;

use std::fmt;

use super::*;
use crate::probe::inventory::{Origin, Usage, Volume};
use crate::probe::roots::{Evidence, RootFacts};
use crate::probe::superblock::Superblock;
use crate::probe::system::{Place, Want};
use crate::probe::{boot, crypttab, fstab};

struct Shown<'a>(&'a StorageOp);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.shell(&HostPath::new("/mnt"), f)
    }
}

fn volume(name: &str, kind: &str, uuid: &str) -> Volume {
    Volume {
        name: name.into(),
        kernel_name: name.into(),
        path: format!("/dev/{name}").into(),
        number: (8, 1),
        origin: Origin::Kernel,
        part: None,
        size: crate::model::Bytes(0),
        model: String::new(),
        removable: false,
        slot: None,
        logical: None,
        disks: vec!["sda".into()],
        superblock: Superblock {
            kind: kind.into(),
            uuid: uuid.into(),
            usage: match kind {
                "crypto_LUKS" => "crypto",
                "LVM2_member" | "linux_raid_member" => "raid",
                _ => "filesystem",
            }
            .into(),
            ..Superblock::default()
        },
        usage: Usage::Free,
        own: None,
    }
}

/// A machine with one system on volume 0.
struct Case {
    inventory: Inventory,
    system: System,
    locked: Vec<Locked>,
    apart: Vec<Apart>,
    tried: Tried,
    troubles: Vec<(usize, Trouble)>,
    mounted: Vec<PathBuf>,
    choices: Choices,
}

impl Case {
    fn new(volumes: Vec<Volume>, table: &str, crypt: &str) -> Self {
        let inventory = Inventory { volumes };
        let mut facts = RootFacts {
            fstab: fstab::parse(table.as_bytes()),
            crypttab: crypttab::parse(crypt.as_bytes()),
            ..RootFacts::default()
        };
        facts.evidence.push(Evidence::FstabNamesIt);
        let wants = facts
            .fstab
            .entries
            .iter()
            .map(|entry| Want {
                line: entry.line,
                spec: entry.spec.clone(),
                mount_point: entry.mount_point.clone(),
                optional: entry.is_optional(),
                found: inventory.find(&entry.spec, &facts.crypttab),
            })
            .collect();
        let locked = inventory.volumes.iter().enumerate();
        let locked = locked
            .filter(|(_, volume)| volume.is_locked())
            .map(|(index, volume)| Locked {
                id: format!("luks-{}", volume.superblock.uuid),
                volume: index,
                what: "LUKS2".into(),
            })
            .collect();
        Self {
            system: System {
                id: "debian-1".into(),
                facts,
                place: Place::Volume {
                    volumes: vec![0],
                    subvolume: None,
                    is_default: false,
                    deployment: None,
                },
                fs_type: "ext4".into(),
                fs_uuid: "r".into(),
                wants,
                boot: boot::Boot::default(),
                firmware: Vec::new(),
                esp: None,
                last_boot: None,
                hibernated: None,
                folded: 0,
                unseen: Vec::new(),
            },
            inventory,
            locked,
            apart: Vec::new(),
            tried: Tried::default(),
            troubles: Vec::new(),
            mounted: Vec::new(),
            choices: Choices::default(),
        }
    }

    fn next_for(&self, choice: &Choice) -> Next {
        let root = HostPath::new("/mnt");
        let facts = Facts {
            inventory: &self.inventory,
            systems: std::slice::from_ref(&self.system),
            locked: &self.locked,
            apart: &self.apart,
            choice,
            tried: &self.tried,
            troubles: &self.troubles,
            root: &root,
            mounted: &self.mounted,
        };
        next(&facts, &self.choices)
    }

    fn next(&self) -> Next {
        self.next_for(&Choice::System(0))
    }

    /// The steps as shell commands, or the mounts.
    fn script(&self) -> Vec<String> {
        match self.next() {
            Next::Do { steps, .. } => steps.iter().map(|op| Shown(op).to_string()).collect(),
            Next::Mount(mounts) => mounts
                .list
                .into_iter()
                .map(|mount| Shown(&StorageOp::Mount(mount.mount)).to_string())
                .collect(),
            Next::Refuse(refusal) => vec![format!("{refusal:?}")],
        }
    }

    fn mounts(&self) -> Mounts {
        match self.next() {
            Next::Mount(mounts) => mounts,
            other => panic!("{other:?}"),
        }
    }
}
