//! What has to be opened before anything is mounted.

use super::*;
use crate::plan::open::layers::is_mapper_name;
use crate::probe::inventory::{Origin, Usage};
use crate::probe::loops::Part;
use crate::probe::scan::Kit;

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
        assert_eq!(is_mapper_name(name), usable, "{name:?}");
    }
    assert!(!is_mapper_name(&"x".repeat(128)));
}
