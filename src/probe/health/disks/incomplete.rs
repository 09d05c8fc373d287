//! Arrays and volume groups that lack members: what a system lies on, and what its fstab wants.

use std::path::Path;

use crate::model::RootPath;
use crate::probe::fstab::Spec;
use crate::probe::inventory::{Volume, split_mapper};
use crate::probe::scan::{Apart, Kit, Scan};
use crate::probe::system::System;
use crate::root::{self, Host};

/// An array or a volume group without all its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// `md/root`, `vg0`.
    pub name: String,
    /// "array", "volume group"
    pub what: &'static str,
    /// How many members are here.
    pub here: usize,
    /// How many it should have.
    pub wanted: usize,
    /// Names of those that are here; empty where that is not known.
    pub on: Vec<String>,
    /// It works all the same.
    pub works: bool,
}

impl Incomplete {
    /// Whether this device of fstab is a part of it.
    #[must_use]
    pub fn holds(&self, device: &Path) -> bool {
        let Some(name) = device.to_str().and_then(|path| path.strip_prefix("/dev/")) else {
            return false;
        };
        let group = match name.strip_prefix("mapper/") {
            Some(mapped) => split_mapper(mapped).map(|(group, _)| group),
            None => name.split_once('/').map(|(group, _)| group.to_string()),
        };
        name == self.name || group.as_ref() == Some(&self.name)
    }
}

/// What `system`, which lies on `volumes`, has to do with.
pub(super) fn find(scan: &Scan, system: &System, volumes: &[usize]) -> Vec<Incomplete> {
    let below: Vec<&Volume> = volumes
        .iter()
        .filter_map(|index| scan.inventory.volumes.get(*index))
        .collect();
    let mut found: Vec<Incomplete> = below.iter().filter_map(|it| assembled(it)).collect();
    for apart in &scan.apart {
        let Some((members, incomplete)) = lacking(apart) else {
            continue;
        };
        let shares_disk = members.iter().any(|index| {
            let member = scan.inventory.volumes.get(*index);
            member.is_some_and(|member| {
                let on = |disk: &String| below.iter().any(|volume| volume.disks.contains(disk));
                member.disks.iter().any(on)
            })
        });
        let is_wanted = system.missing().any(|want| match &want.spec {
            Spec::Device(path) => incomplete.holds(path),
            _ => false,
        });
        if shares_disk || is_wanted {
            found.push(incomplete);
        }
    }
    found
}

/// An array that runs: the kernel counts what it lacks.
fn assembled(volume: &Volume) -> Option<Incomplete> {
    let number = |name: &str| {
        let path = format!("/sys/block/{}/md/{name}", volume.kernel_name);
        let bytes = root::read(&Host, &RootPath::new(path), 64).ok()?;
        String::from_utf8_lossy(&bytes).trim().parse::<usize>().ok()
    };
    let (missing, wanted) = (number("degraded")?, number("raid_disks")?);
    (missing > 0).then(|| Incomplete {
        name: volume.name.clone(),
        what: "array",
        here: wanted.saturating_sub(missing),
        wanted,
        on: Vec::new(),
        works: true,
    })
}

/// One that is not put together, with its members that are here.
fn lacking(apart: &Apart) -> Option<(&[usize], Incomplete)> {
    let (members, what, wanted, works) = match &apart.kit {
        Kit::Array { members, disks, .. } => {
            let (here, disks) = (members.len(), *disks as usize);
            let works = match apart.what.as_str() {
                "md raid1" => here >= 1,
                "md raid4" | "md raid5" => here + 1 >= disks,
                "md raid6" => here + 2 >= disks,
                // Which half is lost decides; one of each pair is enough.
                "md raid10" => here * 2 >= disks,
                _ => false,
            };
            (members, "array", disks, works)
        }
        Kit::Group {
            members, missing, ..
        } => (members, "volume group", members.len() + missing, false),
        Kit::Unknown => return None,
    };
    let incomplete = Incomplete {
        name: apart.name.clone(),
        what,
        here: members.len(),
        wanted,
        on: apart.on.clone(),
        works,
    };
    (members.len() < wanted).then_some((members, incomplete))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(what: &str, kit: Kit) -> Apart {
        Apart {
            name: "vg0".into(),
            what: what.into(),
            on: vec!["sda2".into()],
            note: String::new(),
            kit,
        }
    }

    #[test]
    fn what_works_without_a_member() {
        let table = [
            ("md raid1", 1, 2, Some(true)),
            ("md raid1", 2, 2, None),
            ("md raid5", 2, 3, Some(true)),
            ("md raid5", 1, 3, Some(false)),
            ("md raid6", 2, 4, Some(true)),
            ("md raid10", 1, 4, Some(false)),
            ("md raid0", 1, 2, Some(false)),
        ];
        for (what, here, disks, works) in table {
            let members: Vec<usize> = (0..here).collect();
            let uuid = String::new();
            let apart = apart(
                what,
                Kit::Array {
                    uuid,
                    members,
                    disks,
                },
            );
            let found = lacking(&apart).map(|(_, it)| it.works);
            assert_eq!(found, works, "{what} {here} of {disks}");
        }
    }

    #[test]
    fn the_devices_of_a_group_and_of_an_array() {
        let (uuid, members, missing) = (String::new(), vec![0], 1);
        let group = apart(
            "volume group",
            Kit::Group {
                uuid,
                members,
                missing,
            },
        );
        let (_, mut group) = lacking(&group).unwrap();
        for (device, holds) in [
            ("/dev/vg0/home", true),
            ("/dev/mapper/vg0-home", true),
            ("/dev/mapper/vg0--x-home", false),
            ("/dev/vg01/home", false),
            ("/dev/sda2", false),
            ("vg0/home", false),
        ] {
            assert_eq!(group.holds(Path::new(device)), holds, "{device}");
        }
        group.name = "md/home".into();
        assert!(group.holds(Path::new("/dev/md/home")));
        assert!(!group.holds(Path::new("/dev/md/other")));
    }
}
