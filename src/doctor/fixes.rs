//! The commands that repair, for each family of distributions (research/rescue.md, section 4).
//!
//! Kept as data: `doctor` shows them, `repair` runs the same ones.

use super::Family;
use crate::model::shell_word;

/// Where a command is to be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Where {
    /// In the system that is repaired (chroot).
    Inside,
    /// On the system that repairs; `$ROOT` stands for the root of the other, `$DEVICE` for its
    /// device.
    Outside,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Where to type it.
    pub place: Where,
    /// What to type.
    pub line: String,
}

/// The way out of one finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fix {
    /// The task of `newroot repair` that does it.
    pub task: Option<Task>,
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// What no command does: "plug the disk in".
    pub advice: Option<String>,
}

/// The tasks of `newroot repair`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `password`
    Password,
    /// `bootloader`
    Bootloader,
    /// `initramfs`
    Initramfs,
    /// `fstab`
    Fstab,
    /// `fsck`
    Fsck,
    /// `packages`
    Packages,
    /// `libraries`
    Libraries,
    /// `links`
    Links,
    /// `selinux`
    Selinux,
    /// `space`
    Space,
}

impl Task {
    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Bootloader => "bootloader",
            Self::Initramfs => "initramfs",
            Self::Fstab => "fstab",
            Self::Fsck => "fsck",
            Self::Packages => "packages",
            Self::Libraries => "libraries",
            Self::Links => "links",
            Self::Selinux => "selinux",
            Self::Space => "space",
        }
    }
}

impl Fix {
    /// Only words.
    pub fn advice(text: impl Into<String>) -> Self {
        Self {
            advice: Some(text.into()),
            ..Self::default()
        }
    }

    /// A task without commands yet.
    #[must_use]
    pub fn task(task: Task) -> Self {
        Self {
            task: Some(task),
            ..Self::default()
        }
    }

    /// Adds a command that is typed in the system.
    #[must_use]
    pub fn inside(mut self, line: impl Into<String>) -> Self {
        self.commands.push(Command {
            place: Where::Inside,
            line: line.into(),
        });
        self
    }

    /// Adds a command that is typed outside of it.
    #[must_use]
    pub fn outside(mut self, line: impl Into<String>) -> Self {
        self.commands.push(Command {
            place: Where::Outside,
            line: line.into(),
        });
        self
    }

    /// Adds words.
    #[must_use]
    pub fn or(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(text.into());
        self
    }
}

/// A word for the command line: names come from a hostile disk.
pub(super) fn word(text: &str) -> String {
    shell_word(text.as_bytes())
}

/// Builds the missing initramfs of one kernel (4.3); the version is always named.
#[must_use]
pub fn initramfs(family: Family, version: &str) -> Fix {
    let v = word(version);
    let fix = Fix::task(Task::Initramfs);
    match family {
        Family::Debian => fix.inside(format!("update-initramfs -c -k {v}")),
        Family::Fedora => fix.inside(format!("dracut -f /boot/initramfs-{v}.img {v}")),
        Family::Suse => fix.inside(format!("dracut --force /boot/initrd-{v} {v}")),
        Family::Void => fix.inside(format!("dracut --force /boot/initramfs-{v}.img {v}")),
        Family::Arch => fix.inside("mkinitcpio -P"),
        Family::Alpine => fix.inside(format!(
            "mkinitfs -o /boot/initramfs-{v} \"$(ls /lib/modules | grep -- {v})\""
        )),
        Family::Gentoo => fix.inside(format!("dracut --force --kver {v}")),
        Family::NixOs => nixos(fix),
        Family::Other => fix.or(format!(
            "build an initramfs for kernel {version} with this distribution's own tool"
        )),
    }
}

fn nixos(fix: Fix) -> Fix {
    fix.inside(
        "NIXOS_INSTALL_BOOTLOADER=1 /nix/var/nix/profiles/system/bin/switch-to-configuration boot",
    )
}

/// Installs one kernel again (4.6).
#[must_use]
pub fn kernel(family: Family, version: &str) -> Fix {
    let v = word(version);
    match family {
        Family::Debian => {
            Fix::default().inside(format!("apt-get install --reinstall linux-image-{v}"))
        }
        Family::Fedora => Fix::default().inside("dnf reinstall kernel-core kernel-modules"),
        Family::Suse => Fix::default().inside("zypper install --force kernel-default"),
        Family::Arch => Fix::default().inside("pacman -S linux"),
        Family::Alpine => Fix::default().inside("apk fix linux-lts"),
        Family::Gentoo => Fix::default().inside("emerge --oneshot sys-kernel/gentoo-kernel"),
        Family::NixOs => nixos(Fix::default()),
        Family::Void => Fix::default().inside(format!("xbps-reconfigure -f linux{v}")),
        Family::Other => Fix::advice("install the kernel package again"),
    }
}

/// Writes the boot loader's configuration anew (4.2).
#[must_use]
pub fn boot_config(family: Family) -> Fix {
    let fix = Fix::task(Task::Bootloader);
    match family {
        Family::Debian => fix.inside("update-grub"),
        Family::Fedora | Family::Suse => fix.inside("grub2-mkconfig -o /boot/grub2/grub.cfg"),
        Family::Arch | Family::Gentoo | Family::Void | Family::Other => {
            fix.inside("grub-mkconfig -o /boot/grub/grub.cfg")
        }
        Family::Alpine => fix.inside("grub-mkconfig -o /boot/grub/grub.cfg || update-extlinux"),
        Family::NixOs => nixos(fix),
    }
}

/// Puts GRUB back into the first sectors of `disk` (4.2, BIOS).
#[must_use]
pub fn grub_bios(family: Family, disk: &str) -> Fix {
    let disk = word(disk);
    let fix = Fix::task(Task::Bootloader);
    match family {
        Family::Fedora | Family::Suse => fix.inside(format!("grub2-install {disk}")),
        Family::NixOs => nixos(fix),
        _ => fix.inside(format!("grub-install --target=i386-pc --recheck {disk}")),
    }
}

/// Puts GRUB back onto the ESP (4.2, UEFI). Never `grub2-install` on Fedora: its image would not
/// be signed, and the stub on the ESP would be overwritten.
#[must_use]
pub fn grub_uefi(family: Family, id: &str, esp: &str) -> Fix {
    let (id, esp) = (word(id), word(esp));
    let fix = Fix::task(Task::Bootloader);
    match family {
        Family::Debian => fix.inside(format!(
            "grub-install --target=x86_64-efi --efi-directory={esp} --bootloader-id={id} --recheck"
        )),
        Family::Fedora => fix
            .inside("dnf reinstall 'shim-*' 'grub2-efi-*' grub2-common")
            .inside("grub2-mkconfig -o /boot/grub2/grub.cfg"),
        Family::Suse => fix
            .inside("grub2-install")
            .inside("shim-install --config-file=/boot/grub2/grub.cfg"),
        Family::Alpine => fix.inside(format!(
            "grub-install --target=x86_64-efi --efi-directory={esp} --bootloader-id=alpine --boot-directory=/boot --no-nvram"
        )),
        Family::NixOs => nixos(fix),
        _ => fix.inside(format!(
            "grub-install --target=x86_64-efi --efi-directory={esp} --bootloader-id=GRUB"
        )),
    }
}

/// systemd-boot on the ESP.
#[must_use]
pub fn systemd_boot() -> Fix {
    Fix::task(Task::Bootloader).inside("bootctl --variables=yes install")
}

/// Ends what the package manager began (4.7).
#[must_use]
pub fn packages(family: Family) -> Fix {
    let fix = Fix::task(Task::Packages);
    match family {
        Family::Debian => fix
            .inside("dpkg --configure -a")
            .inside("apt-get -f install"),
        Family::Fedora => fix.inside("dnf distro-sync").or("after a look at: rpm -Va"),
        Family::Suse => fix.inside("zypper verify"),
        Family::Arch => fix.inside("pacman -Syu").or("after a look at: pacman -Qkk"),
        Family::Alpine => fix.inside("apk fix"),
        Family::Gentoo => fix.inside("emaint --check all").inside("emerge --resume"),
        Family::NixOs => fix.inside("nix-store --verify --check-contents --repair"),
        Family::Void => fix.inside("xbps-pkgdb -a"),
        Family::Other => fix.or("run the package manager's own check"),
    }
}

/// Mends the package database (4.7).
#[must_use]
pub fn package_database(family: Family) -> Fix {
    let fix = Fix::task(Task::Packages);
    match family {
        Family::Debian => fix
            .inside("cp -p /var/lib/dpkg/status-old /var/lib/dpkg/status")
            .or("older copies: /var/backups/dpkg.status.*"),
        Family::Fedora | Family::Suse => fix
            .inside("cp -a /var/lib/rpm /var/lib/rpm.bak")
            .inside("rpmdb --rebuilddb"),
        Family::Arch => fix.or("for each entry that is damaged: pacman --dbonly -S PACKAGE"),
        Family::Alpine => fix.inside("apk fix"),
        _ => fix.or("restore the package database from a backup"),
    }
}

/// Brings a package's files back, when programs of the system still run.
#[must_use]
pub fn reinstall(family: Family, package: &str) -> Fix {
    let p = word(package);
    let fix = Fix::task(Task::Libraries);
    match family {
        Family::Debian => fix.inside(format!("apt-get install --reinstall {p}")),
        Family::Fedora => fix.inside(format!("dnf reinstall {p}")),
        Family::Suse => fix.inside(format!("zypper install --force {p}")),
        Family::Arch => fix.inside(format!("pacman -S {p}")),
        Family::Alpine => fix.inside(format!("apk fix --reinstall {p}")),
        Family::Gentoo => fix.inside(format!("emerge --oneshot {p}")),
        Family::NixOs => fix.inside("nix-store --verify --check-contents --repair"),
        Family::Void => fix.inside(format!("xbps-install -f {p}")),
        Family::Other => fix.or(format!("install {package} again")),
    }
}

/// Brings a package's files back from outside: nothing of the system runs any more.
#[must_use]
pub fn reinstall_from_outside(family: Family, package: &str) -> Fix {
    let p = word(package);
    let fix = Fix::task(Task::Libraries);
    match family {
        Family::Debian => fix
            .outside(format!(
                "(cd /tmp && apt-get download {p} && dpkg-deb -x {p}_*.deb \"$ROOT\")"
            ))
            .or("from a live system of the same release and architecture"),
        Family::Fedora => fix
            .outside(format!("dnf --installroot=\"$ROOT\" reinstall {p}"))
            .or("from a live system of the same release"),
        Family::Suse => fix.outside(format!("zypper --root \"$ROOT\" install --force {p}")),
        Family::Arch => fix
            .outside(format!("pacman --sysroot \"$ROOT\" -S {p}"))
            .or("or unpack it from $ROOT/var/cache/pacman/pkg"),
        Family::Alpine => fix.outside(format!("apk --root \"$ROOT\" fix --reinstall {p}")),
        _ => fix.or(format!(
            "unpack the files of {package} from another system of the same release"
        )),
    }
}

/// Checks and repairs an unmounted filesystem (4.5).
#[must_use]
pub fn fsck(fs_type: &str) -> Fix {
    let fix = Fix::task(Task::Fsck);
    match fs_type {
        "ext2" | "ext3" | "ext4" => fix.outside("e2fsck -f -p $DEVICE"),
        "xfs" => fix
            .outside("xfs_repair -n $DEVICE")
            .outside("xfs_repair $DEVICE")
            .or("where it asks for the log: mount and unmount it once, or lose the log with -L"),
        "btrfs" => fix
            .outside("btrfs check --readonly $DEVICE")
            .or("never `btrfs check --repair` without asking its developers"),
        "vfat" => fix.outside("fsck.vfat -a $DEVICE"),
        "f2fs" => fix.outside("fsck.f2fs -a $DEVICE"),
        _ => fix.or("run the filesystem's own check, unmounted"),
    }
}

/// Sets root's password (4.1).
#[must_use]
pub fn password(family: Family) -> Fix {
    let fix = Fix::task(Task::Password).inside("passwd root");
    match family {
        Family::Fedora | Family::Suse => {
            fix.inside("restorecon -v /etc/shadow || touch /.autorelabel")
        }
        _ => fix,
    }
}

/// Relabels at the next boot (4.8).
#[must_use]
pub fn relabel() -> Fix {
    Fix::task(Task::Selinux).inside("fixfiles -F onboot")
}

/// Finds what fills a filesystem, then the family's caches.
#[must_use]
pub fn space(family: Family, mount_point: &str) -> Fix {
    let fix =
        Fix::task(Task::Space).inside(format!("du -xhd2 {} | sort -h | tail", word(mount_point)));
    if mount_point.starts_with("/boot") {
        return match family {
            Family::Debian => fix.inside("apt-get autoremove --purge"),
            Family::Fedora => fix.inside("dnf remove --oldinstallonly"),
            _ => fix.or("remove kernels that are not used any more"),
        };
    }
    let fix = match family {
        Family::Debian => fix.inside("apt-get clean"),
        Family::Fedora => fix.inside("dnf clean all"),
        Family::Suse => fix.inside("zypper clean --all"),
        Family::Arch => fix.inside("pacman -Sc"),
        Family::Alpine => fix.inside("apk cache clean"),
        Family::NixOs => fix.inside("nix-collect-garbage"),
        _ => fix,
    };
    fix.inside("journalctl --vacuum-size=100M")
}

#[cfg(test)]
mod tests;
