//! What is not done, or only when asked for by name.

use super::*;
use crate::plan::storage::What;
use crate::probe::busy::Holder;
use crate::probe::inventory::Usage;

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
