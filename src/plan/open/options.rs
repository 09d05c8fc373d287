//! Options of fstab as the kernel's drivers take them: what is for mount(8), systemd, quota tools
//! or people is left out, what forbids something becomes a flag of the mount.

use crate::model::MountFlags;

/// An option of a filesystem: a flag, or a key with its value.
pub(super) type FsOption = (String, Option<String>);

/// What a driver gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) driver: String,
    pub(super) flags: MountFlags,
    pub(super) options: Vec<FsOption>,
    pub(super) essential: Vec<FsOption>,
}

/// For mount(8), systemd, fsck, or people; `discard` would trim what might still be rescued, and
/// access times are nothing that a rescue has to write.
const NOT_FOR_THE_KERNEL: &[&str] = &[
    "defaults",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "nofail",
    "fail",
    "_netdev",
    "comment",
    "loop",
    "offset",
    "sizelimit",
    "encryption",
    "uhelper",
    "helper",
    "quota",
    "noquota",
    "usrquota",
    "grpquota",
    "prjquota",
    "usrjquota",
    "grpjquota",
    "jqfmt",
    "uquota",
    "gquota",
    "pquota",
    "uqnoenforce",
    "gqnoenforce",
    "pqnoenforce",
    "bsdgroups",
    "discard",
    "nodiscard",
    "fstrim",
    "rw",
    "ro",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "async",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "lazytime",
    "nolazytime",
    "mand",
    "nomand",
    "silent",
    "loud",
    "bind",
    "rbind",
    "remount",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "sw",
    "pri",
    "managed",
    "utf8mode",
];

/// They name a device, which a foreign fstab could choose among those of the live system: a log is
/// written.
const OTHER_DEVICES: &[&str] = &["logdev", "rtdev", "journal_dev", "journal_path"];

/// What decides which tree is shown, or to whom its files belong.
const ESSENTIAL: &[&str] = &[
    "subvol",
    "subvolid",
    "device",
    "umask",
    "fmask",
    "dmask",
    "uid",
    "gid",
    "iocharset",
    "utf8",
    "rescue",
    "noload",
    "norecovery",
    "nouuid",
    "degraded",
];

/// The driver for what blkid calls a filesystem.
pub(super) fn driver(kind: &str) -> &str {
    match kind {
        // One driver reads them all, and refuses `noload` under the older names.
        "ext2" | "ext3" | "ext4" => "ext4",
        "ntfs" => "ntfs3",
        kind => kind,
    }
}

/// The words that keep a driver from replaying a journal.
fn no_replay(driver: &str) -> Vec<FsOption> {
    let word = |word: &str| vec![(word.to_string(), None)];
    match driver {
        "ext4" => word("noload"),
        "xfs" | "f2fs" => word("norecovery"),
        "btrfs" => vec![("rescue".into(), Some("nologreplay".into()))],
        _ => Vec::new(),
    }
}

/// Options of fstab for a filesystem of type `kind`. To look (`write` is false) only what is
/// essential is taken.
pub(super) fn translate(kind: &str, fstab: &[String], write: bool) -> Translated {
    let driver = driver(kind).to_string();
    let has = |name: &str| fstab.iter().any(|option| option == name);
    let last = |yes: &str, no: &str| {
        let found = fstab.iter().rfind(|option| *option == yes || *option == no);
        found.is_some_and(|option| option == yes)
    };
    let flags = MountFlags {
        read_only: !write || last("ro", "rw"),
        no_suid: last("nosuid", "suid"),
        no_dev: last("nodev", "dev"),
        no_exec: last("noexec", "exec"),
    };
    let mut options: Vec<FsOption> = fstab.iter().filter_map(|text| option(text)).collect();
    if has("sync") && write {
        options.push(("sync".into(), None));
    }
    if driver == "xfs" {
        // A copy of a mounted xfs has the same UUID.
        options.push(("nouuid".into(), None));
    }
    if !write {
        options.extend(no_replay(&driver));
    }
    let essential: Vec<FsOption> = options
        .iter()
        .filter(|(key, _)| ESSENTIAL.contains(&key.as_str()))
        .cloned()
        .collect();
    let journaled = ["ext4", "xfs", "btrfs", "f2fs"].contains(&driver.as_str());
    Translated {
        flags,
        options: if !write && journaled {
            essential.clone()
        } else {
            options
        },
        essential,
        driver,
    }
}

fn option(text: &str) -> Option<FsOption> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.trim_matches('"').to_string())),
        None => (text, None),
    };
    let theirs = key.starts_with("x-")
        || key.starts_with("X-")
        || key.is_empty()
        || key == "sync"
        || OTHER_DEVICES.contains(&key)
        || NOT_FOR_THE_KERNEL.contains(&key);
    // A NUL would end the word for the kernel, and newroot would show another one.
    let sound = !text.contains('\0');
    (!theirs && sound).then(|| (key.to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(options: &[FsOption]) -> String {
        let words = options.iter().map(|(key, value)| match value {
            Some(value) => format!("{key}={value}"),
            None => key.clone(),
        });
        words.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn what_the_kernel_gets_of_an_fstab() {
        let table = [
            (
                "ext4",
                "defaults,errors=remount-ro",
                true,
                "",
                "errors=remount-ro",
            ),
            ("ext4", "defaults,errors=remount-ro", false, "ro", "noload"),
            (
                "ext3",
                "data=journal,nofail,usrjquota=aquota.user,jqfmt=vfsv1",
                true,
                "",
                "data=journal",
            ),
            ("xfs", "noatime,uquota,discard", true, "", "nouuid"),
            ("xfs", "rw", false, "ro", "nouuid,norecovery"),
            (
                "btrfs",
                "subvol=/@,compress=zstd,x-systemd.growfs",
                true,
                "",
                "subvol=/@,compress=zstd",
            ),
            (
                "btrfs",
                "subvol=/@,compress=zstd",
                false,
                "ro",
                "subvol=/@,rescue=nologreplay",
            ),
            (
                "vfat",
                "umask=0077,shortname=winnt",
                false,
                "ro",
                "umask=0077,shortname=winnt",
            ),
            (
                "vfat",
                "ro,nosuid,nodev,noexec,user",
                true,
                "ro,nosuid,nodev,noexec",
                "",
            ),
            ("ext4", "ro,rw,nosuid,suid", true, "", ""),
            (
                "xfs",
                "logdev=/dev/sda1,rtdev=/dev/sda2,journal_dev=2049,journal_path=/dev/sda",
                true,
                "",
                "nouuid",
            ),
            ("ext4", "sync,comment=x,_netdev,=x", true, "", "sync"),
        ];
        for (kind, fstab, write, flags, wanted) in table {
            let words: Vec<String> = fstab.split(',').map(str::to_string).collect();
            let got = translate(kind, &words, write);
            assert_eq!(
                (got.flags.to_string().as_str(), text(&got.options).as_str()),
                (flags, wanted),
                "{kind} {fstab} {write}"
            );
        }
    }

    #[test]
    fn what_is_essential_survives_a_driver_that_knows_less() {
        let words: Vec<String> = ["subvol=@", "new_option", "compress=zstd"]
            .map(String::from)
            .to_vec();
        let got = translate("btrfs", &words, true);
        assert_eq!(text(&got.essential), "subvol=@");
        assert_eq!(text(&got.options), "subvol=@,new_option,compress=zstd");
        assert_eq!(translate("ntfs", &[], true).driver, "ntfs3");
    }
}
