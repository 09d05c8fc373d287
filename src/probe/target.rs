//! TARGET: one thing everywhere (design section 4). An id that `scan` shows or a prefix of it, a
//! hostname, a device, `UUID=`, `LABEL=`, a directory, an image file; nothing at all means the
//! only system there is.
//!
//! Pure but for [`name`], which asks what stands under a path.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::fstab::Spec;
use super::inventory::{Found, Inventory, Volume};
use super::scan::Locked;
use super::system::{Place, System};
use crate::model::{HostPath, Kind, RootPath};
use crate::root::{Host, Tree};

/// What a person named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A directory that serves as a root.
    Directory(HostPath),
    /// An image file.
    Image(PathBuf),
    /// A block device.
    Device(PathBuf),
    /// `UUID=` and its like.
    Spec(Spec),
    /// An id, a prefix of one, or a hostname.
    Word(String),
}

/// What a TARGET leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One system, by index.
    System(usize),
    /// One locked volume, by index: unlock it, then look again.
    Locked(usize),
    /// Nothing fits.
    Nothing,
    /// Several fit: systems and locked volumes, by index.
    Several(Vec<usize>, Vec<usize>),
}

/// Sorts out what was typed. A word without a slash is an id or a hostname, even where a file of
/// that name lies about: `./web03` is the file.
#[must_use]
pub fn name(typed: &OsStr) -> Name {
    let text = typed.to_string_lossy();
    if let Some((tag, value)) = text.split_once('=') {
        let value = value.to_string();
        match tag {
            "UUID" => return Name::Spec(Spec::Uuid(value)),
            "LABEL" => return Name::Spec(Spec::Label(value)),
            "PARTUUID" => return Name::Spec(Spec::PartUuid(value)),
            "PARTLABEL" => return Name::Spec(Spec::PartLabel(value)),
            _ => {}
        }
    }
    if !typed.as_bytes().contains(&b'/') && text != "." && text != ".." {
        return Name::Word(text.into_owned());
    }
    let path = PathBuf::from(typed);
    match kind_of(&path) {
        Some(Kind::Directory) => Name::Directory(HostPath::new(path)),
        Some(Kind::File) => Name::Image(path),
        _ => Name::Device(path),
    }
}

/// What stands under a path of the host; a relative one counts from the working directory.
#[must_use]
pub fn kind_of(path: &Path) -> Option<Kind> {
    let absolute = std::path::absolute(path).ok()?;
    Host.stat(&RootPath::new(absolute))
        .ok()
        .map(|meta| meta.kind)
}

/// The system that `name` leads to; `None`: the only one there is.
#[must_use]
pub fn choose(
    inventory: &Inventory,
    systems: &[System],
    locked: &[Locked],
    name: Option<&Name>,
) -> Choice {
    let all = || (0..systems.len()).collect::<Vec<usize>>();
    let Some(name) = name else {
        return one_of(all(), (0..locked.len()).collect());
    };
    match name {
        Name::Directory(_) | Name::Image(_) => one_of(all(), (0..locked.len()).collect()),
        Name::Spec(spec) => on_volume(inventory, systems, locked, inventory.find(spec, &[])),
        Name::Device(path) => on_volume(inventory, systems, locked, device(inventory, path)),
        Name::Word(word) => by_word(systems, locked, word),
    }
}

/// A locked volume counts only when there is no system: it is not one yet.
fn one_of(systems: Vec<usize>, locked: Vec<usize>) -> Choice {
    match (systems.as_slice(), locked.as_slice()) {
        ([system], _) => Choice::System(*system),
        ([], [volume]) => Choice::Locked(*volume),
        ([], []) => Choice::Nothing,
        _ => Choice::Several(systems, locked),
    }
}

fn by_word(systems: &[System], locked: &[Locked], word: &str) -> Choice {
    let pick = |fits: &dyn Fn(&System) -> bool, locks: &dyn Fn(&Locked) -> bool| {
        let some = |count: usize, fits: &dyn Fn(usize) -> bool| {
            (0..count)
                .filter(|index| fits(*index))
                .collect::<Vec<usize>>()
        };
        let systems = some(systems.len(), &|index| fits(&systems[index]));
        let volumes = some(locked.len(), &|index| locks(&locked[index]));
        match (systems.len(), volumes.len()) {
            (0, 0) => None,
            (0, 1) => Some(Choice::Locked(volumes[0])),
            (1, 0) => Some(Choice::System(systems[0])),
            _ => Some(Choice::Several(systems, volumes)),
        }
    };
    if word.is_empty() {
        return Choice::Nothing;
    }
    let is_host = |system: &System| {
        let host = system.facts.hostname.as_deref().unwrap_or_default();
        let short = host.split('.').next().unwrap_or_default();
        host.eq_ignore_ascii_case(word) || short.eq_ignore_ascii_case(word)
    };
    let begins = |system: &System| {
        system.id.starts_with(word) || full_id(system).starts_with(word) && word.contains('-')
    };
    pick(&|system| system.id == word, &|volume| volume.id == word)
        .or_else(|| pick(&is_host, &|_| false))
        .or_else(|| pick(&begins, &|volume| volume.id.starts_with(word)))
        .unwrap_or(Choice::Nothing)
}

/// The id with the whole UUID: what was written down while another disk was plugged in, and the
/// id therefore longer, still fits.
fn full_id(system: &System) -> String {
    let digits = system.fs_uuid.chars().filter(char::is_ascii_alphanumeric);
    let digits: String = digits.map(|letter| letter.to_ascii_lowercase()).collect();
    format!("{}-{digits}", system.facts.os.id)
}

fn device(inventory: &Inventory, path: &Path) -> Found {
    let by_path = inventory
        .volumes
        .iter()
        .position(|volume| volume.path == path);
    by_path.map_or_else(
        || match inventory.find(&Spec::Device(path.to_path_buf()), &[]) {
            Found::Unreliable(Some(index)) => Found::Here(index),
            found => found,
        },
        Found::Here,
    )
}

/// The systems on a volume, on a disk's partitions, or on what is stacked upon it.
fn on_volume(inventory: &Inventory, systems: &[System], locked: &[Locked], found: Found) -> Choice {
    let Found::Here(wanted) = found else {
        return Choice::Nothing;
    };
    let volume = &inventory.volumes[wanted];
    let direct = |index: usize| index == wanted;
    let above = |index: usize| stands_on(inventory, &inventory.volumes[index], volume);
    let fits = |place: &Place, rule: &dyn Fn(usize) -> bool| match place {
        Place::Volume { volumes, .. } => volumes.iter().any(|index| rule(*index)),
        Place::Directory(_) => false,
    };
    for rule in [&direct as &dyn Fn(usize) -> bool, &above] {
        let found: Vec<usize> = (0..systems.len())
            .filter(|index| fits(&systems[*index].place, rule))
            .collect();
        let volumes: Vec<usize> = (0..locked.len())
            .filter(|index| rule(locked[*index].volume))
            .collect();
        let choice = one_of(found, volumes);
        if choice != Choice::Nothing {
            return choice;
        }
    }
    Choice::Nothing
}

fn stands_on(inventory: &Inventory, volume: &Volume, below: &Volume) -> bool {
    let part = volume
        .slot
        .as_ref()
        .is_some_and(|slot| slot.disk == below.kernel_name);
    let on_disk = below.slot.is_none() && volume.disks.contains(&below.kernel_name);
    let stacked = match &below.usage {
        super::inventory::Usage::Stacked(names) => names.iter().any(|name| {
            *name == volume.kernel_name
                || inventory.volumes.iter().any(|middle| {
                    middle.kernel_name == *name
                        && middle.kernel_name != below.kernel_name
                        && stands_on(inventory, volume, middle)
                })
        }),
        _ => false,
    };
    part || on_disk || stacked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::inventory::Usage;
    use crate::probe::inventory::tests::volume;
    use crate::probe::system::{name_all, tests::system};

    fn machine() -> (Inventory, Vec<System>, Vec<Locked>) {
        let mut disk = volume("sda", "", "");
        disk.usage = Usage::Free;
        let mut root = volume("sda2", "ext4", "3f2a77aa-0000");
        root.disks = vec!["sda".into()];
        let mut other = volume("sdb1", "btrfs", "3f2b-1111");
        other.disks = vec!["sdb".into()];
        other.superblock.label = "pool".into();
        let mut crypt = volume("sda5", "crypto_LUKS", "91bc-2222");
        crypt.disks = vec!["sda".into()];
        let inventory = Inventory {
            volumes: vec![disk, root, other, crypt],
        };
        let mut systems = vec![
            system("debian", "3f2a77aa-0000"),
            system("fedora", "3f2b-1111"),
            system("arch", "3f2b-1111"),
        ];
        for (at, host) in [(0, "web03.example.org"), (1, "lab"), (2, "lab")] {
            systems[at].facts.hostname = Some(host.into());
        }
        for (at, index) in [(0, 1), (1, 2), (2, 2)] {
            systems[at].place = Place::Volume {
                volumes: vec![index],
                subvolume: None,
                is_default: false,
                deployment: None,
            };
        }
        name_all(&mut systems);
        let locked = Locked {
            id: "luks-91bc".into(),
            volume: 3,
            what: "LUKS2".into(),
        };
        (inventory, systems, vec![locked])
    }

    #[test]
    fn every_way_to_name_a_target() {
        let (inventory, systems, locked) = machine();
        let table: [(&str, Choice); 18] = [
            ("debian-3f2a", Choice::System(0)),
            ("deb", Choice::System(0)),
            ("debian-3f2a77", Choice::System(0)),
            ("debian-3f2a78", Choice::Nothing),
            ("WEB03", Choice::System(0)),
            ("web03.example.org", Choice::System(0)),
            ("web", Choice::Nothing),
            ("lab", Choice::Several(vec![1, 2], vec![])),
            ("luks", Choice::Locked(0)),
            ("", Choice::Nothing),
            ("/dev/sda2", Choice::System(0)),
            ("/dev/sda", Choice::System(0)),
            ("/dev/sda5", Choice::Locked(0)),
            ("/dev/sdb1", Choice::Several(vec![1, 2], vec![])),
            ("/dev/sdz", Choice::Nothing),
            ("UUID=3F2A77AA-0000", Choice::System(0)),
            ("LABEL=pool", Choice::Several(vec![1, 2], vec![])),
            ("UUID=91bc-2222", Choice::Locked(0)),
        ];
        for (typed, wanted) in table {
            let name = match name(OsStr::new(typed)) {
                Name::Directory(_) | Name::Image(_) => panic!("{typed} is on this machine"),
                name => name,
            };
            assert_eq!(
                choose(&inventory, &systems, &locked, Some(&name)),
                wanted,
                "{typed}"
            );
        }
    }

    #[test]
    fn nothing_named_means_the_only_one() {
        let (inventory, systems, locked) = machine();
        let choose =
            |systems: &[System], locked: &[Locked]| choose(&inventory, systems, locked, None);
        assert_eq!(choose(&systems[..1], &locked), Choice::System(0));
        assert_eq!(choose(&[], &locked), Choice::Locked(0));
        assert_eq!(choose(&[], &[]), Choice::Nothing);
        assert!(matches!(choose(&systems, &[]), Choice::Several(..)));
    }

    #[test]
    fn paths_are_told_from_words() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("disk.img");
        std::fs::write(&file, "").unwrap();
        assert_eq!(name(file.as_os_str()), Name::Image(file.clone()));
        let typed = directory.path().as_os_str();
        assert!(matches!(name(typed), Name::Directory(_)));
        assert_eq!(name(OsStr::new("etc")), Name::Word("etc".into()));
        assert!(matches!(name(OsStr::new("/dev/none")), Name::Device(_)));
    }
}
