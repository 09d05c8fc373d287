//! The root and its whole fstab as mounts, in the order of their depth.

use std::path::PathBuf;

use super::layers::{device_of, is_selected, spelled};
use super::network::{self, Request};
use super::options::{self, Translated};
use super::{Choices, Facts, Left, Mount, Mounts, Next, Refusal, Trouble, Why};
use crate::model::{MountFlags, RootPath};
use crate::plan::storage::{LoopPart, Mounted, What};
use crate::probe::fstab::{Entry, Purpose, Spec};
use crate::probe::inventory::{Found, Origin, Usage, Volume};
use crate::probe::partitions::PartitionKind;
use crate::probe::system::{Place, System};

/// More mounts than any system has; a hostile fstab could ask for a thousand.
const MOST_MOUNTS: usize = 200;

/// The live system's own business, whatever fstab says.
const NOT_OURS: &[&str] = &["/proc", "/sys", "/dev", "/run", "/none", "/swap", "/"];

/// Decides.
pub(super) fn of_system(facts: &Facts<'_>, choices: &Choices, system: &System) -> Next {
    let mut mounts = Mounts::default();
    let write = match root(facts, choices, system, &mut mounts) {
        Ok(write) => write,
        Err(refusal) => return Next::Refuse(refusal),
    };
    let choices = &Choices { write, ..*choices };
    let mut entries: Vec<&Entry> = system.facts.fstab.entries.iter().collect();
    entries.sort_by_key(|entry| entry.depth());
    let mut taken = vec![RootPath::root()];
    for entry in entries {
        let point = entry.mount_point.normalized();
        let ours = NOT_OURS.iter().any(|path| point == RootPath::new(path))
            || ["/proc", "/sys", "/dev", "/run"]
                .iter()
                .any(|path| point.starts_with(&RootPath::new(path)));
        if ours || taken.contains(&point) || is_mounted(facts, &mounts, &point) {
            continue;
        }
        taken.push(point.clone());
        one(facts, choices, system, entry, &mut mounts);
    }
    boot_partitions(facts, choices, system, &taken, &mut mounts);
    if mounts.list.len() > MOST_MOUNTS {
        let rest = mounts.list.len() - MOST_MOUNTS;
        mounts.list.truncate(MOST_MOUNTS);
        let line = format!("fstab asks for {rest} mounts more than newroot makes");
        mounts.warnings.push(line);
    }
    for problem in &system.facts.fstab.problems {
        let (line, what) = (problem.line, problem.what);
        mounts.warnings.push(format!("fstab line {line}: {what}"));
    }
    Next::Mount(mounts)
}

/// Somebody mounted it there already, below a root that is adopted in place.
fn is_mounted(facts: &Facts<'_>, mounts: &Mounts, point: &RootPath) -> bool {
    let Some(adopted) = &mounts.adopted else {
        return false;
    };
    let inside = point.relative();
    facts.mounted.contains(&adopted.join(inside))
}

/// The root itself; whether things are mounted read-write.
fn root(
    facts: &Facts<'_>,
    choices: &Choices,
    system: &System,
    mounts: &mut Mounts,
) -> Result<bool, Refusal> {
    let Place::Volume {
        volumes,
        subvolume,
        deployment,
        ..
    } = &system.place
    else {
        return Ok(choices.write);
    };
    let index = volumes.first().copied().unwrap_or_default();
    let volume = &facts.inventory.volumes[index];
    let entry = system.facts.fstab.at("/");
    let entry = entry.filter(|_| system.is_named_by_fstab());
    for at in volumes {
        match &facts.inventory.volumes[*at].usage {
            Usage::Free => {}
            Usage::Mounted(point) if choices.lasting && *facts.root.as_path() == **point => {
                mounts.adopted = Some(point.clone());
                return Ok(choices.write);
            }
            Usage::Mounted(point) => {
                let what = What::Adopted(crate::model::HostPath::new(point));
                let read_only = MountFlags::default().read_only();
                let flags = if choices.write {
                    MountFlags::default()
                } else {
                    read_only
                };
                let mounted = mounted(what, volume, flags, RootPath::root(), choices);
                mounts.list.push(Mount {
                    mount: mounted,
                    fs_type: system.fs_type.clone(),
                    volume: Some(index),
                });
                mounts.adopted = Some(point.clone());
                return Ok(choices.write);
            }
            Usage::Held(holder) => {
                return Err(Refusal::InUse(volume.name.clone(), holder.clone()));
            }
            Usage::Stacked(names) => {
                let what = format!("carries {}", names.join(", "));
                return Err(Refusal::Unsupported(volume.name.clone(), what));
            }
        }
    }
    let trouble = |what| facts.troubles.contains(&(index, what));
    if choices.write && trouble(Trouble::Errors) && !choices.filesystem_errors {
        return Err(Refusal::Errors(volume.name.clone(), device_of(volume)));
    }
    let mut words = entry.map(|entry| entry.options.clone()).unwrap_or_default();
    if let Some(subvolume) = subvolume {
        words.retain(|word| !word.starts_with("subvol=") && !word.starts_with("subvolid="));
        words.push(match subvolume.path.relative().to_str() {
            Some(".") | None => format!("subvolid={}", subvolume.id),
            Some(path) => format!("subvol=/{path}"),
        });
    }
    for at in volumes.iter().skip(1) {
        let path = device_of(&facts.inventory.volumes[*at]);
        words.push(format!("device={}", path.display()));
    }
    // `ro` for the root is how the system runs, not what whoever repairs it asks for.
    words.retain(|word| word != "ro");
    let translated = options::translate(&volume.superblock.kind, &words, choices.write);
    let write = choices.write;
    mounts.list.push(filesystem(
        facts,
        choices,
        index,
        translated,
        RootPath::root(),
    ));
    if let Some(path) = deployment {
        deployed(volume, path, choices, mounts);
    }
    Ok(write)
}

/// What ostree-prepare-root does: the deployment is the root, the physical one is below /sysroot,
/// /var is the stateroot's.
fn deployed(volume: &Volume, path: &RootPath, choices: &Choices, mounts: &mut Mounts) {
    let flags = MountFlags {
        read_only: !choices.write,
        ..MountFlags::default()
    };
    let var = path.parent().parent().join("var");
    for (what, point) in [
        (What::Deployment(path.clone()), "/"),
        (What::Physical(RootPath::root()), "/sysroot"),
        (What::Physical(var), "/var"),
    ] {
        let mounted = mounted(what, volume, flags, RootPath::new(point), choices);
        mounts.list.push(Mount {
            mount: mounted,
            fs_type: volume.superblock.kind.clone(),
            volume: None,
        });
    }
}

/// One line of fstab.
fn one(facts: &Facts<'_>, choices: &Choices, system: &System, entry: &Entry, mounts: &mut Mounts) {
    let point = entry.mount_point.normalized();
    let mut left = |why| {
        mounts.left.push(Left {
            point: point.clone(),
            device: spelled(&entry.spec),
            fs_type: entry.fs_type.clone(),
            why,
        });
    };
    let purpose = entry.purpose();
    if matches!(purpose, Purpose::Swap | Purpose::Virtual) {
        return;
    }
    if !is_selected(entry, choices) {
        return left(Why::Skipped("noauto; with --noauto it is mounted".into()));
    }
    match (purpose, &entry.spec) {
        (Purpose::Network, _) if !choices.network => {
            left(Why::Skipped(
                "needs the network; with --network it is mounted".into(),
            ));
        }
        (Purpose::Network, _) => match network::request(entry, choices.write) {
            Ok(Request {
                source,
                kind,
                options,
            }) => {
                let what = What::Network {
                    source,
                    kind,
                    options,
                };
                push(mounts, what, entry, &point, choices);
            }
            Err(why) => left(why),
        },
        (Purpose::Bind, Spec::Path(from)) => {
            push(mounts, What::Bind(from.clone()), entry, &point, choices);
        }
        (Purpose::Device, _) => match found(facts, system, entry) {
            Ok(index) => device(facts, choices, entry, index, mounts),
            Err(why) => left(Why::Missing(why)),
        },
        _ => left(Why::Skipped(
            "newroot does not know how to mount this".into(),
        )),
    }
}

fn push(mounts: &mut Mounts, what: What, entry: &Entry, point: &RootPath, choices: &Choices) {
    let translated = options::translate("", &entry.options, choices.write);
    mounts.list.push(Mount {
        mount: Mounted {
            what,
            shown: spelled(&entry.spec),
            flags: translated.flags,
            points: vec![point.clone()],
            only_empty: false,
            lasting: choices.lasting,
        },
        fs_type: entry.fs_type.clone(),
        volume: None,
    });
}

/// The volume that a line names, or why there is none.
fn found(facts: &Facts<'_>, system: &System, entry: &Entry) -> Result<usize, String> {
    let want = system.wants.iter().find(|want| want.line == entry.line);
    let volumes = &facts.inventory.volumes;
    let index = match want.map(|want| want.found) {
        Some(Found::Here(index) | Found::Unreliable(Some(index))) => index,
        Some(Found::Locked(index)) => return Err(format!("{} is locked", volumes[index].name)),
        Some(Found::Unreliable(None) | Found::Missing) | None => {
            return Err(format!("{} is not here", spelled(&entry.spec)));
        }
    };
    let volume = &volumes[index];
    match &volume.usage {
        Usage::Held(Some(holder)) => Err(format!("{} is in use by {holder}", volume.name)),
        Usage::Held(None) => Err(format!("{} is in use", volume.name)),
        Usage::Mounted(point) if system.volume() != Some(index) => {
            Err(format!("{} is mounted at {}", volume.name, point.display()))
        }
        _ if !volume.has_filesystem() => Err(format!("no filesystem is on {}", volume.name)),
        _ => Ok(index),
    }
}

fn device(facts: &Facts<'_>, choices: &Choices, entry: &Entry, index: usize, mounts: &mut Mounts) {
    let volume = &facts.inventory.volumes[index];
    let point = entry.mount_point.normalized();
    if matches!(entry.spec, Spec::Device(ref path) if is_number(path, volume)) {
        mounts.warnings.push(format!(
            "fstab line {}: {} is a number that changes; {} has it now",
            entry.line,
            spelled(&entry.spec),
            volume.name
        ));
    }
    let trouble = |what| facts.troubles.contains(&(index, what));
    let mut write = choices.write;
    if write && trouble(Trouble::DirtyNtfs) && !choices.dirty_ntfs {
        write = false;
        mounts.warnings.push(format!(
            "{} was not left clean by Windows: read-only unless --dirty-ntfs",
            volume.name
        ));
    }
    if write && trouble(Trouble::Errors) && !choices.filesystem_errors {
        write = false;
        mounts.warnings.push(format!(
            "{} is marked as having errors: read-only unless --filesystem-errors",
            volume.name
        ));
    }
    let translated = options::translate(&volume.superblock.kind, &entry.options, write);
    mounts
        .list
        .push(filesystem(facts, choices, index, translated, point));
}

/// `/dev/sda2`: the kernel numbers disks anew at each boot.
fn is_number(path: &std::path::Path, volume: &Volume) -> bool {
    volume.origin == Origin::Kernel
        && volume.logical.is_none()
        && path == PathBuf::from("/dev").join(&volume.kernel_name)
}

fn filesystem(
    facts: &Facts<'_>,
    choices: &Choices,
    index: usize,
    translated: Translated,
    point: RootPath,
) -> Mount {
    let volume = &facts.inventory.volumes[index];
    let part = volume.part.as_ref().map(|part| LoopPart {
        file: part.file.clone(),
        name: volume.name.clone(),
        start: part.start,
        size: part.size,
        read_only: !choices.write,
    });
    let what = What::Device {
        device: device_of(volume),
        part,
        driver: translated.driver,
        options: translated.options,
        essential: translated.essential,
        shield: translated.flags.read_only && facts.troubles.contains(&(index, Trouble::Orphans)),
    };
    Mount {
        mount: mounted(what, volume, translated.flags, point, choices),
        fs_type: volume.superblock.kind.clone(),
        volume: Some(index),
    }
}

fn mounted(
    what: What,
    volume: &Volume,
    flags: MountFlags,
    point: RootPath,
    choices: &Choices,
) -> Mounted {
    Mounted {
        what,
        shown: volume.name.clone(),
        flags,
        points: vec![point],
        only_empty: false,
        lasting: choices.lasting,
    }
}

/// The EFI system partition and the extended boot loader partition of the root's own disk, where
/// fstab says nothing of them: what updates a boot loader writes there.
fn boot_partitions(
    facts: &Facts<'_>,
    choices: &Choices,
    system: &System,
    taken: &[RootPath],
    mounts: &mut Mounts,
) {
    let Some(root) = system.volume() else {
        return;
    };
    let disks = &facts.inventory.volumes[root].disks;
    let table: [(PartitionKind, &[&str]); 2] = [
        (PartitionKind::Xbootldr, &["/boot"]),
        (PartitionKind::Esp, &["/boot/efi", "/efi", "/boot"]),
    ];
    for (kind, places) in table {
        let volumes = facts.inventory.volumes.iter().enumerate();
        let found = volumes
            .filter(|(_, volume)| volume.slot.as_ref().is_some_and(|slot| slot.kind == kind))
            .filter(|(_, volume)| volume.disks.iter().any(|disk| disks.contains(disk)))
            .filter(|(_, volume)| volume.has_filesystem() && volume.usage == Usage::Free)
            .map(|(index, _)| index)
            .next();
        let Some(index) = found else {
            continue;
        };
        // A line that fstab has for it, mounted or left out, is the system's own word.
        let named = system
            .wants
            .iter()
            .any(|want| matches!(want.found, Found::Here(at) | Found::Unreliable(Some(at)) if at == index));
        let mut points: Vec<RootPath> = places.iter().map(RootPath::new).collect();
        points.retain(|point| !taken.contains(point));
        if named || points.is_empty() {
            continue;
        }
        let kind = &facts.inventory.volumes[index].superblock.kind;
        let words = ["umask=0077".to_string()];
        let words = if kind == "vfat" { &words[..] } else { &[] };
        let translated = options::translate(kind, words, choices.write);
        let mut mount = filesystem(facts, choices, index, translated, points[0].clone());
        mount.mount.points = points;
        mount.mount.only_empty = true;
        mounts.list.push(mount);
    }
}
