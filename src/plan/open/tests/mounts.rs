//! How an fstab becomes mounts.

use super::*;
use crate::model::MountFlags;
use crate::probe::inventory::Slot;
use crate::probe::partitions::PartitionKind;

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
