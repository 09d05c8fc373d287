//! What the kernel can do, from what was tried and from its own lists in /proc and /sys.

use rustix::io::Errno;

use super::drivers::{FILESYSTEMS, device_mapper, filesystem, loops, raid};
use super::modules::Modules;
use super::{Ability, State, Tried, UserNamespace};
use crate::model::{RootPath, parse_mountinfo};
use crate::probe::user_namespaces;
use crate::root::{Tree, read};
use crate::sys::describe;

const LIMIT: usize = 4 << 20;

/// Every ability, in the order of the report.
#[must_use]
pub fn kernel(tree: &dyn Tree, release: &str, tried: &Tried) -> Vec<Ability> {
    let modules = Modules::read(tree, release);
    let mut all = vec![
        user_namespaces(tried),
        calls(tried),
        seccomp(tried),
        landlock(tried),
        cgroup(tree),
        efi(tree),
        emulation(tree, &modules),
        loops(tree, &modules),
    ];
    all.extend(device_mapper(tree, &modules));
    all.extend(raid(tree, &modules));
    let drivers = text(tree, "/proc/filesystems");
    all.extend(
        FILESYSTEMS
            .iter()
            .map(|row| filesystem(tree, &drivers, &modules, *row)),
    );
    all
}

pub(super) fn ability(
    name: &'static str,
    state: State,
    detail: impl Into<String>,
    without: &'static str,
) -> Ability {
    Ability {
        name,
        state,
        detail: detail.into(),
        without,
        cure: None,
    }
}

fn yes_if(so: bool) -> State {
    if so { State::Yes } else { State::No }
}

pub(super) fn text(tree: &dyn Tree, path: &str) -> String {
    let bytes = read(tree, &RootPath::new(path), LIMIT).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn user_namespaces(tried: &Tried) -> Ability {
    let name = "user namespaces";
    let without = "only root can enter, try or run anything";
    match tried.user_namespace {
        UserNamespace::Works => ability(name, State::Yes, "for everybody", without),
        UserNamespace::Unknown => ability(name, State::Unknown, "", without),
        UserNamespace::Fails(stage, errno) => {
            let setting = user_namespaces::forbidden_by(errno);
            let by = setting
                .as_ref()
                .map(|it| format!("{}={}; ", it.name, it.value))
                .unwrap_or_default();
            let detail = format!("{by}{stage}: {}", describe(errno));
            Ability {
                cure: setting.map(|it| it.cure.to_owned()),
                ..ability(name, State::No, detail, without)
            }
        }
    }
}

fn calls(tried: &Tried) -> Ability {
    let lacking: Vec<&str> = tried.lacking.iter().map(|call| call.name()).collect();
    let detail = if lacking.is_empty() {
        String::from("openat2, fsopen, mount_setattr, pidfd_open")
    } else {
        format!("lacks {}", lacking.join(", "))
    };
    ability(
        "newer system calls",
        yes_if(lacking.is_empty()),
        detail,
        "older ones are used; try, --lent, exec may not work",
    )
}

fn seccomp(tried: &Tried) -> Ability {
    let detail = tried.seccomp.map_or_else(describe, |()| String::new());
    ability(
        "seccomp",
        yes_if(tried.seccomp.is_ok()),
        detail,
        "no filter of system calls around a program",
    )
}

fn landlock(tried: &Tried) -> Ability {
    let detail = match tried.landlock {
        Ok(version) => format!("version {version}"),
        Err(Errno::OPNOTSUPP) => String::from("switched off at boot (lsm=)"),
        Err(errno) => describe(errno),
    };
    ability(
        "landlock",
        yes_if(tried.landlock.is_ok()),
        detail,
        "no second wall around files",
    )
}

fn cgroup(tree: &dyn Tree) -> Ability {
    let name = "cgroups";
    let without = "no limits on memory, processors and processes";
    let mounts = parse_mountinfo(text(tree, "/proc/self/mountinfo").as_bytes());
    let point = |kind: &str| {
        mounts
            .iter()
            .find(|it| it.fstype == kind)
            .map(|it| &it.point)
    };
    let controllers = point("cgroup2").map(|point| {
        let file = RootPath::new(point).join("cgroup.controllers");
        let bytes = read(tree, &file, LIMIT).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    });
    let controllers = controllers.unwrap_or_default();
    // Beside v1 the other hierarchy has what v1 leaves to it, often nothing.
    if controllers.split_whitespace().any(|word| word == "memory") {
        return ability(name, State::Yes, format!("v2: {controllers}"), without);
    }
    let v1: Vec<String> = mounts
        .iter()
        .filter(|it| it.fstype == "cgroup")
        .filter_map(|it| Some(it.point.file_name()?.to_string_lossy().into_owned()))
        .collect();
    if !v1.is_empty() {
        return ability(name, State::Yes, format!("v1: {}", v1.join(" ")), without);
    }
    if !controllers.is_empty() {
        return ability(name, State::Yes, format!("v2: {controllers}"), without);
    }
    let drivers = text(tree, "/proc/filesystems");
    let known = drivers.split_whitespace().any(|word| word == "cgroup2");
    let detail = if known {
        "the kernel has them, but none is mounted"
    } else {
        ""
    };
    ability(name, State::No, detail, without)
}

fn efi(tree: &dyn Tree) -> Ability {
    let name = "EFI variables";
    let without = "boot entries of the firmware cannot be seen";
    let exists = |path: &str| tree.stat(&RootPath::new(path)).is_ok();
    if !exists("/sys/firmware/efi") {
        return ability(name, State::No, "not booted by UEFI", without);
    }
    let variables = RootPath::new("/sys/firmware/efi/efivars");
    let mounted = tree.list(&variables).is_ok_and(|names| !names.is_empty());
    if mounted {
        return ability(name, State::Yes, "", without);
    }
    Ability {
        cure: Some(String::from(
            "mount -t efivarfs efivarfs /sys/firmware/efi/efivars",
        )),
        ..ability(
            name,
            State::No,
            "booted by UEFI, but efivarfs is not mounted",
            without,
        )
    }
}

fn emulation(tree: &dyn Tree, modules: &Modules) -> Ability {
    let name = "other machines";
    let without = "their programs can be read, not run";
    let directory = RootPath::new("/proc/sys/fs/binfmt_misc");
    let names = tree.list(&directory).unwrap_or_default();
    let emulators: Vec<String> = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| name.starts_with("qemu-"))
        .map(str::to_owned)
        .collect();
    if !emulators.is_empty() {
        return ability(name, State::Yes, emulators.join(" "), without);
    }
    let has_driver = names.iter().any(|name| name == "status")
        || text(tree, "/proc/filesystems").contains("binfmt_misc")
        || modules.is_loadable("binfmt_misc");
    let detail = if has_driver {
        "no qemu is registered"
    } else {
        "the kernel lacks binfmt_misc"
    };
    ability(name, State::No, detail, without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;
    use crate::sys::ability::Call;

    fn all_good() -> Tried {
        Tried {
            lacking: Vec::new(),
            landlock: Ok(6),
            seccomp: Ok(()),
            user_namespace: UserNamespace::Works,
        }
    }

    fn states(tree: &Mem, tried: &Tried) -> Vec<(&'static str, State, String)> {
        let found = kernel(tree, "6.1", tried).into_iter();
        found.map(|it| (it.name, it.state, it.detail)).collect()
    }

    #[track_caller]
    fn expect(states: &[(&str, State, String)], name: &str, state: State, detail: &str) {
        let found = states.iter().find(|it| it.0 == name).unwrap();
        assert_eq!((found.1, found.2.as_str()), (state, detail), "{name}");
    }

    #[test]
    fn a_live_medium_with_modules() {
        let tree = Mem::new()
            .with_file(
                "/proc/filesystems",
                "nodev\ttmpfs\n\text4\n\tfuseblk\nnodev\tcgroup2\n",
            )
            .with_file("/usr/bin/ntfs-3g", "")
            .with_file(
                "/lib/modules/6.1/modules.dep",
                "kernel/fs/xfs/xfs.ko:\nkernel/drivers/md/dm-mod.ko:\n\
                 kernel/drivers/md/dm-crypt.ko:\nkernel/drivers/md/raid1.ko:\n",
            )
            .with_file(
                "/lib/modules/6.1/modules.builtin",
                "kernel/drivers/md/md-mod.ko\n",
            )
            .with_file(
                "/proc/self/mountinfo",
                "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            )
            .with_file("/sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n")
            .with_file("/sys/firmware/efi/efivars/Boot0000-8be4", "x")
            .with_file("/proc/sys/fs/binfmt_misc/qemu-aarch64", "enabled\n");
        let found = states(&tree, &all_good());
        expect(&found, "user namespaces", State::Yes, "for everybody");
        expect(&found, "landlock", State::Yes, "version 6");
        expect(&found, "cgroups", State::Yes, "v2: cpu io memory pids");
        expect(&found, "EFI variables", State::Yes, "");
        expect(&found, "other machines", State::Yes, "qemu-aarch64");
        expect(&found, "device-mapper", State::Loadable, "");
        expect(&found, "dm-crypt", State::Loadable, "");
        expect(&found, "dm-snapshot, dm-thin", State::No, "");
        expect(&found, "md", State::Yes, "");
        expect(&found, "md raid1", State::Loadable, "");
        expect(&found, "ext4", State::Yes, "");
        expect(&found, "xfs", State::Loadable, "");
        expect(&found, "ntfs3", State::Yes, "by the program ntfs-3g");
        expect(&found, "exfat", State::No, "");
        expect(&found, "btrfs", State::No, "");
    }

    #[test]
    fn a_kernel_that_can_hardly_anything() {
        let tried = Tried {
            lacking: vec![Call::FsOpen, Call::PidfdOpen],
            landlock: Err(Errno::OPNOTSUPP),
            seccomp: Err(Errno::NOSYS),
            user_namespace: UserNamespace::Fails("unshare", Errno::NOSPC),
        };
        let found = states(&Mem::new(), &tried);
        expect(
            &found,
            "newer system calls",
            State::No,
            "lacks fsopen, pidfd_open",
        );
        expect(&found, "landlock", State::No, "switched off at boot (lsm=)");
        expect(&found, "cgroups", State::No, "");
        expect(&found, "EFI variables", State::No, "not booted by UEFI");
        expect(&found, "device-mapper", State::No, "");
        expect(&found, "dm-crypt", State::No, "");
        expect(&found, "md raid1", State::No, "");
        let userns = found.iter().find(|it| it.0 == "user namespaces").unwrap();
        assert_eq!(userns.1, State::No);
        assert!(userns.2.contains("unshare: "), "{}", userns.2);
    }

    #[test]
    fn without_a_list_of_modules_parts_of_a_driver_are_unknown() {
        let tree = Mem::new()
            .with_dir("/sys/class/misc/device-mapper")
            .with_file("/proc/mdstat", "Personalities : [raid1] [raid0]\n");
        let found = states(&tree, &all_good());
        expect(&found, "device-mapper", State::Yes, "");
        expect(&found, "dm-crypt", State::Unknown, "");
        expect(&found, "md raid1", State::Yes, "");
        expect(&found, "md raid5, raid6", State::Unknown, "");
    }
}
