//! Which step comes next, and how an fstab becomes mounts.

use std::fmt;

use super::*;
use crate::model::MountFlags;
use crate::plan::storage::What;
use crate::probe::busy::Holder;
use crate::probe::inventory::{Origin, Slot, Usage, Volume};
use crate::probe::loops::Part;
use crate::probe::partitions::PartitionKind;
use crate::probe::roots::{Evidence, RootFacts};
use crate::probe::scan::Kit;
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

#[test]
fn the_whole_fstab_in_the_order_of_its_depth() {
    let mut home = volume("sda3", "xfs", "h");
    home.superblock.label = "home".into();
    let table = "UUID=b /boot/x ext4 nodev,nofail 0 2\nLABEL=home /home xfs noatime\nUUID=r / ext4 errors=remount-ro\n\
        UUID=gone /data ext4\nUUID=b /later ext4 noauto\nsrv:/x /nfs nfs defaults\n/home/a /opt none bind\n\
        tmpfs /tmp tmpfs\nUUID=s none swap sw\n/dev/sda3 /boot xfs\nUUID=h /home xfs\nUUID=b /dev/x ext4\n";
    let volumes = vec![
        volume("sda2", "ext4", "r"),
        volume("sda4", "ext4", "b"),
        home,
    ];
    let mut case = Case::new(volumes, table, "");
    assert_eq!(
        case.script(),
        [
            "mount -t ext4 -o ro,noload /dev/sda2 /mnt",
            "mount -t xfs -o ro,nouuid,norecovery /dev/sda3 /mnt/home",
            "mount --bind /mnt/home/a /mnt/opt\nmount -o remount,bind,ro /mnt/opt",
            "mount -t xfs -o ro,nouuid,norecovery /dev/sda3 /mnt/boot",
            "mount -t ext4 -o ro,nodev,noload /dev/sda4 /mnt/boot/x",
        ]
    );
    let mounts = case.mounts();
    let left: Vec<String> = mounts
        .left
        .iter()
        .map(|left| format!("{} {:?}", left.point, left.why))
        .collect();
    assert_eq!(
        left,
        [
            "/data Missing(\"UUID=gone is not here\")",
            "/later Skipped(\"noauto; with --noauto it is mounted\")",
            "/nfs Skipped(\"needs the network; with --network it is mounted\")",
        ]
    );
    assert_eq!(
        mounts.warnings,
        ["fstab line 10: /dev/sda3 is a number that changes; sda3 has it now"]
    );
    case.choices.write = true;
    case.choices.noauto = true;
    case.choices.network = true;
    let script = case.script();
    assert_eq!(
        script[0],
        "mount -t ext4 -o errors=remount-ro /dev/sda2 /mnt"
    );
    assert!(script.contains(&"mount -t ext4 /dev/sda4 /mnt/later".to_string()));
    assert!(script.contains(&"mount -t nfs -o nosuid,nodev -- srv:/x /mnt/nfs".to_string()));
}

#[test]
fn dots_in_a_mount_point_stay_inside() {
    let table = "UUID=r / ext4\nUUID=r /../../etc/x ext4\nUUID=r /a/../.. ext4\n";
    let case = Case::new(vec![volume("sda2", "ext4", "r")], table, "");
    let points: Vec<String> = case
        .mounts()
        .list
        .iter()
        .map(|mount| mount.mount.point().to_string())
        .collect();
    assert_eq!(points, ["/", "/etc/x"]);
}

#[test]
fn what_makes_writing_dangerous_has_a_flag_of_its_own() {
    let table = "UUID=r / ext4 ro\nUUID=n /win ntfs\n";
    let volumes = vec![volume("sda2", "ext4", "r"), volume("sda5", "ntfs", "n")];
    let mut case = Case::new(volumes, table, "");
    case.choices.write = true;
    case.troubles = vec![(1, Trouble::DirtyNtfs)];
    assert!(case.script()[1].contains("-o ro "), "{:?}", case.script());
    case.choices.dirty_ntfs = true;
    assert_eq!(case.script()[1], "mount -t ntfs3 /dev/sda5 /mnt/win");
    case.troubles = vec![(0, Trouble::Errors)];
    let device = PathBuf::from("/dev/sda2");
    let errors = Refusal::Errors("sda2".into(), device);
    assert_eq!(case.next(), Next::Refuse(errors));
    case.choices.filesystem_errors = true;
    assert_eq!(case.script()[0], "mount -t ext4 /dev/sda2 /mnt");
    case.system.hibernated = Some("sda3".into());
    assert_eq!(
        case.next(),
        Next::Refuse(Refusal::Hibernated("sda3".into()))
    );
    case.choices.discard_hibernation = true;
    assert_eq!(case.script().len(), 2);
    case.choices = Choices::default();
    case.troubles = vec![(0, Trouble::Orphans)];
    let Next::Mount(mounts) = case.next() else {
        panic!();
    };
    assert!(matches!(
        mounts.list[0].mount.what,
        What::Device { shield: true, .. }
    ));
}

#[test]
fn encrypted_volumes_get_the_names_of_crypttab() {
    let crypt = "root_crypt UUID=luks none luks,discard\nhome_crypt UUID=hl none\nsw /dev/x /dev/urandom swap\n";
    let table = "/dev/mapper/root_crypt / ext4\n/dev/mapper/home_crypt /home ext4\n";
    let mut root = volume("newroot-x", "ext4", "r");
    root.kernel_name = "dm-0".into();
    let mut below = volume("sda2", "crypto_LUKS", "luks");
    below.usage = Usage::Stacked(vec!["dm-0".into()]);
    let home = volume("sda3", "crypto_LUKS", "hl");
    let mut case = Case::new(vec![root, below, home], table, crypt);
    // What fstab needs and is locked comes first, then the name.
    assert_eq!(
        case.script(),
        ["cryptsetup open --readonly /dev/sda3 luks-hl"]
    );
    case.tried.given_up.insert("hl".into());
    let crypt = Crypt {
        device: "/dev/sda2".into(),
        shown: "sda2".into(),
        uuid: "luks".into(),
        id: "luks-luks".into(),
        read_only: true,
        discards: false,
    };
    case.tried.unlocked.push((crypt, "newroot-x".into()));
    assert_eq!(case.script(), ["dmsetup rename luks-luks root_crypt"]);
    case.tried.named.insert("luks".into());
    let mounts = case.mounts();
    assert_eq!(mounts.left[0].why, Why::Missing("sda3 is locked".into()));
    // Somebody else has the name already: ours stays.
    case.tried.named.clear();
    case.inventory
        .volumes
        .push(volume("root_crypt", "ext4", "other"));
    assert!(matches!(case.next(), Next::Mount(_)));
}

#[test]
fn the_target_is_a_locked_volume() {
    let mut case = Case::new(vec![volume("sda2", "crypto_LUKS", "l")], "", "");
    let choice = Choice::Locked(0);
    let Next::Do { steps, required } = case.next_for(&choice) else {
        panic!();
    };
    assert!(required && matches!(steps[..], [StorageOp::Unlock(_)]));
    case.tried.given_up.insert("l".into());
    let refused = Next::Refuse(Refusal::NoKey("luks-l".into()));
    assert_eq!(case.next_for(&choice), refused);
    let mut case = Case::new(vec![volume("sda2", "BitLocker", "l")], "", "");
    case.locked[0].what = "BitLocker".into();
    let refused = Refusal::Unsupported("luks-l".into(), "BitLocker".into());
    assert_eq!(case.next_for(&choice), Next::Refuse(refused));
}

#[test]
fn parts_of_an_image_get_devices_of_their_own() {
    let part = |number: u32, uuid: &str| {
        let mut volume = volume(&format!("d.img p{number}"), "ext4", uuid);
        volume.origin = Origin::Part;
        volume.part = Some(Part {
            file: "/srv/d.img".into(),
            start: u64::from(number) * 1024,
            size: 512,
        });
        volume
    };
    let mut whole = volume("d.img", "", "");
    whole.origin = Origin::Image;
    whole.part = Some(Part {
        file: "/srv/d.img".into(),
        start: 0,
        size: 0,
    });
    let mut case = Case::new(
        vec![part(1, "r"), part(2, "b"), whole],
        "UUID=r / ext4\n",
        "",
    );
    assert_eq!(
        case.script(),
        [
            "losetup --find --show --read-only --offset 1024 --sizelimit 512 /srv/d.img",
            "losetup --find --show --read-only --offset 2048 --sizelimit 512 /srv/d.img",
        ]
    );
    // The dry run goes on as if they were there.
    case.tried.attached.insert("/srv/d.img".into());
    assert_eq!(
        case.script(),
        ["mount -t ext4 -o ro,noload,loop,offset=1024,sizelimit=512 /srv/d.img /mnt"]
    );
}

fn group(uuid: &str, members: Vec<usize>, missing: usize) -> Apart {
    Apart {
        name: "vg".into(),
        what: "volume group".into(),
        on: Vec::new(),
        note: String::new(),
        kit: Kit::Group {
            uuid: uuid.into(),
            members,
            missing,
        },
    }
}

fn on_lvm() -> Case {
    let mut root = volume("vg/root", "ext4", "r");
    root.origin = Origin::Logical;
    root.logical = Some(("vg".into(), "root".into()));
    let member = volume("sda3", "LVM2_member", "pv");
    let mut case = Case::new(vec![root, member], "/dev/vg/root / ext4\n", "");
    case.apart = vec![group("aaaa", vec![1], 0)];
    case
}

#[test]
fn groups_are_activated_by_uuid_and_namesakes_refused() {
    let mut case = on_lvm();
    assert!(case.script()[0].ends_with("--select vg_uuid=aaaa"));
    case.tried.groups.insert("aaaa".into());
    assert_eq!(
        case.script(),
        ["mount -t ext4 -o ro,noload /dev/vg/root /mnt"]
    );
    let mut case = on_lvm();
    case.apart.push(group("bbbb", Vec::new(), 0));
    let uuids = vec!["aaaa".to_string(), "bbbb".to_string()];
    assert_eq!(
        case.next(),
        Next::Refuse(Refusal::SameName("vg".into(), uuids))
    );
    let mut case = on_lvm();
    let mut active = volume("vg-other", "ext4", "o");
    active.logical = Some(("vg".into(), "other".into()));
    case.inventory.volumes.push(active);
    assert!(matches!(case.next(), Next::Refuse(Refusal::SameName(..))));
    let mut case = on_lvm();
    case.apart = vec![group("aaaa", vec![1], 1)];
    assert_eq!(
        case.next(),
        Next::Refuse(Refusal::Incomplete("vg".into(), 1))
    );
}

#[test]
fn a_degraded_array_is_read_only_until_agreed() {
    let mut root = volume("md/data", "ext4", "r");
    root.origin = Origin::Mirror;
    let member = volume("sda3", "linux_raid_member", "m");
    let mut case = Case::new(vec![root, member], "UUID=r / ext4\n", "");
    case.apart = vec![Apart {
        name: "md/data".into(),
        what: "md raid1".into(),
        on: Vec::new(),
        note: String::new(),
        kit: Kit::Array {
            uuid: "m".into(),
            members: vec![1],
            disks: 2,
        },
    }];
    assert_eq!(
        case.script(),
        ["mdadm --assemble --readonly --run /dev/md/data /dev/sda3"]
    );
    case.choices.write = true;
    let refused = Refusal::Degraded("md/data".into(), 1, 2);
    assert_eq!(case.next(), Next::Refuse(refused));
    case.choices.degraded = true;
    assert_eq!(
        case.script(),
        ["mdadm --assemble --run /dev/md/data /dev/sda3"]
    );
    // A name from a disk that would lead out of /dev/md is not taken.
    case.apart[0].name = "md/../../etc/x".into();
    case.inventory.volumes[0].name = "md/../../etc/x".into();
    assert_eq!(
        case.script(),
        ["mdadm --assemble --run /dev/md/m /dev/sda3"]
    );
}

#[test]
fn what_somebody_holds_or_mounted() {
    let mut case = Case::new(vec![volume("sda2", "ext4", "r")], "UUID=r / ext4\n", "");
    let holder = Some(Holder {
        pid: 7,
        program: "qemu".into(),
    });
    case.inventory.volumes[0].usage = Usage::Held(holder.clone());
    let refused = Refusal::InUse("sda2".into(), holder);
    assert_eq!(case.next(), Next::Refuse(refused));
    case.inventory.volumes[0].usage = Usage::Mounted("/mnt".into());
    // In the session a copy of it; where everyone sees it, it stays as it is.
    assert_eq!(
        case.script(),
        ["mount --rbind /mnt /mnt\nmount --make-rslave /mnt\nmount -o remount,bind,ro /mnt"]
    );
    case.choices.lasting = true;
    let mounts = case.mounts();
    assert!(mounts.list.is_empty() && mounts.adopted == Some("/mnt".into()));
}

#[test]
fn boot_partitions_are_found_by_their_type() {
    let slot = |kind| {
        Some(Slot {
            disk: "sda".into(),
            number: 1,
            kind,
            uuid: String::new(),
            label: String::new(),
        })
    };
    let mut esp = volume("sda1", "vfat", "E");
    esp.slot = slot(PartitionKind::Esp);
    let mut boot = volume("sda3", "ext4", "x");
    boot.slot = slot(PartitionKind::Xbootldr);
    let mut other = volume("sdb1", "vfat", "F");
    other.slot = slot(PartitionKind::Esp);
    other.disks = vec!["sdb".into()];
    let volumes = vec![volume("sda2", "ext4", "r"), other, esp, boot];
    let case = Case::new(volumes.clone(), "UUID=r / ext4\n", "");
    let list = case.mounts().list;
    let shown: Vec<(&str, usize, bool)> = list[1..]
        .iter()
        .map(|mount| {
            let mount = &mount.mount;
            (mount.shown.as_str(), mount.points.len(), mount.only_empty)
        })
        .collect();
    assert_eq!(shown, [("sda3", 1, true), ("sda1", 3, true)]);
    assert_eq!(list[2].mount.flags, MountFlags::default().read_only());
    // fstab mentions it: that is the system's own word, even when it is noauto.
    let case = Case::new(volumes, "UUID=r / ext4\nUUID=E /boot/efi vfat noauto\n", "");
    let names: Vec<String> = case
        .mounts()
        .list
        .into_iter()
        .map(|mount| mount.mount.shown)
        .collect();
    assert_eq!(names, ["sda2", "sda3"]);
}

#[test]
fn a_hostile_fstab_is_bounded() {
    let mut table = String::from("UUID=r / ext4\n");
    for number in 0..800 {
        table.push_str(&format!("UUID=r /{number} ext4\n"));
    }
    let case = Case::new(vec![volume("sda2", "ext4", "r")], &table, "");
    let mounts = case.mounts();
    assert_eq!(mounts.list.len(), 200);
    assert_eq!(
        mounts.warnings,
        ["fstab asks for 601 mounts more than newroot makes"]
    );
}

#[test]
fn names_for_device_mapper_are_plain() {
    for (name, usable) in [
        ("web03_crypt", true),
        ("luks-91bc", true),
        ("", false),
        ("-x", false),
        ("control", false),
        ("a b", false),
        ("a\x1b[2J", false),
    ] {
        assert_eq!(super::layers::is_mapper_name(name), usable, "{name:?}");
    }
    assert!(!super::layers::is_mapper_name(&"x".repeat(128)));
}
