//! An installed system as the scan found it. Plain data for `scan`, `rescue`, `mount`, `doctor`.

use super::boot::{Boot, Firmware};
use super::btrfs::Subvolume;
use super::fstab::Spec;
use super::inventory::Found;
use super::lastboot::LastBoot;
use super::roots::{Evidence, RootFacts};
use crate::model::{HostPath, RootPath};

/// Where a root lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On volumes of this machine.
    Volume {
        /// Indexes into the inventory; several for a btrfs of several devices.
        volumes: Vec<usize>,
        /// The subvolume, on btrfs.
        subvolume: Option<Subvolume>,
        /// The subvolume is what a mount without an option gives.
        is_default: bool,
        /// The ostree deployment, inside of the filesystem.
        deployment: Option<RootPath>,
    },
    /// In a directory that somebody named.
    Directory(HostPath),
}

/// One line of fstab that names a device, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Line number in fstab.
    pub line: usize,
    /// The device as written.
    pub spec: Spec,
    /// Where it is wanted.
    pub mount_point: RootPath,
    /// Booting goes on without it.
    pub optional: bool,
    /// What was found.
    pub found: Found,
}

/// An installed system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// What a person types: `debian-3f2a`. Made from the filesystem's UUID, so the same tomorrow.
    pub id: String,
    /// What it says of itself.
    pub facts: RootFacts,
    /// Where it lies.
    pub place: Place,
    /// Type of its root filesystem; empty for a directory.
    pub fs_type: String,
    /// UUID of its root filesystem; empty where there is none.
    pub fs_uuid: String,
    /// What fstab wants.
    pub wants: Vec<Want>,
    /// How it boots.
    pub boot: Boot,
    /// How firmware finds it: from what is installed.
    pub firmware: Vec<Firmware>,
    /// Its EFI system partition, by index.
    pub esp: Option<usize>,
    /// When it was last booted.
    pub last_boot: Option<LastBoot>,
    /// The swap volume or file that holds its memory.
    pub hibernated: Option<String>,
    /// Snapshots and older deployments that are not shown on their own.
    pub folded: usize,
    /// Parts of it that could not be looked into, and why.
    pub unseen: Vec<(RootPath, String)>,
}

impl System {
    /// The volume that the root lies on, the first of several.
    #[must_use]
    pub fn volume(&self) -> Option<usize> {
        match &self.place {
            Place::Volume { volumes, .. } => volumes.first().copied(),
            Place::Directory(_) => None,
        }
    }

    /// Devices that fstab wants at boot and nobody has.
    pub fn missing(&self) -> impl Iterator<Item = &Want> {
        self.wants
            .iter()
            .filter(|want| matches!(want.found, Found::Missing | Found::Unreliable(None)))
    }

    /// Whether its fstab names the filesystem it lies on as `/`. No: a copy, or a root that is
    /// not what is booted.
    #[must_use]
    pub fn is_named_by_fstab(&self) -> bool {
        self.facts.evidence.contains(&Evidence::FstabNamesIt)
    }

    /// Whether the distribution boots with an initramfs as a rule.
    #[must_use]
    pub fn uses_initramfs(&self) -> bool {
        [
            "debian", "ubuntu", "fedora", "rhel", "centos", "suse", "arch", "alpine", "void",
        ]
        .iter()
        .any(|name| self.facts.os.is_like(name))
    }
}

/// Gives every system its id: distribution and the first digits of the UUID, as many as it takes.
pub fn name_all(systems: &mut [System]) {
    for length in [4, 6, 8, 12, 32] {
        let ids: Vec<String> = systems.iter().map(|system| id_of(system, length)).collect();
        let unique = ids
            .iter()
            .enumerate()
            .all(|(at, id)| !ids[..at].contains(id));
        if unique || length == 32 {
            for (system, id) in systems.iter_mut().zip(ids) {
                system.id = id;
            }
            break;
        }
    }
    number_the_rest(systems);
}

/// Clones share even the UUID: the subvolume's number tells them apart, or the order found.
fn number_the_rest(systems: &mut [System]) {
    for at in 1..systems.len() {
        let base = systems[at].id.clone();
        let mut suffix = 1;
        while systems[..at].iter().any(|other| other.id == systems[at].id) {
            suffix += 1;
            systems[at].id = format!("{base}.{suffix}");
        }
    }
}

fn id_of(system: &System, length: usize) -> String {
    let digits: String = system
        .fs_uuid
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .take(length)
        .collect();
    let name = &system.facts.os.id;
    let mut id = if digits.is_empty() {
        name.clone()
    } else {
        format!("{name}-{digits}")
    };
    if let Place::Volume {
        subvolume: Some(subvolume),
        ..
    } = &system.place
        && length > 12
    {
        id.push_str(&format!(".{}", subvolume.id));
    }
    id
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A system with nothing but a name and a UUID.
    pub(in crate::probe) fn system(os: &str, uuid: &str) -> System {
        let mut facts = RootFacts::default();
        facts.os.id = os.to_string();
        System {
            id: String::new(),
            facts,
            place: Place::Volume {
                volumes: vec![0],
                subvolume: None,
                is_default: false,
                deployment: None,
            },
            fs_type: "ext4".into(),
            fs_uuid: uuid.into(),
            wants: Vec::new(),
            boot: Boot::default(),
            firmware: Vec::new(),
            esp: None,
            last_boot: None,
            hibernated: None,
            folded: 0,
            unseen: Vec::new(),
        }
    }

    fn ids(systems: &[(&str, &str)]) -> Vec<String> {
        let mut systems: Vec<System> = systems.iter().map(|(os, uuid)| system(os, uuid)).collect();
        name_all(&mut systems);
        systems.into_iter().map(|system| system.id).collect()
    }

    #[test]
    fn ids_are_short_stable_and_unique() {
        assert_eq!(ids(&[("debian", "3f2a77-0")]), ["debian-3f2a"]);
        assert_eq!(
            ids(&[
                ("debian", "3f2a77-0"),
                ("debian", "3f2a-88"),
                ("arch", "3f2a77")
            ]),
            ["debian-3f2a77", "debian-3f2a88", "arch-3f2a77"]
        );
        assert_eq!(ids(&[("x", "1234"), ("x", "1234")]), ["x-1234", "x-1234.2"]);
        assert_eq!(ids(&[("x", "")]), ["x"]);
    }
}
