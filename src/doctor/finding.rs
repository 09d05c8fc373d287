//! What a finding is.

use super::fixes::Fix;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It does not boot, nobody can log in, or programs do not start. Exit 1.
    Error,
    /// It will go wrong, or a part of it does not work.
    Warning,
    /// Worth knowing when something else is wrong.
    Note,
}

impl Severity {
    /// The word for `--json`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of trouble: stable, for scripts and tests.
    pub kind: Kind,
    /// What is wrong and what that means, in a sentence or two.
    pub what: String,
    /// What was seen, a line each, files with their line numbers.
    pub seen: Vec<String>,
    /// What the screen says when this happens at boot.
    pub screen: Option<String>,
    /// The way out.
    pub fix: Fix,
    /// The package whose files are wrong.
    pub package: Option<String>,
    /// The files it is about, the first few.
    pub files: Vec<String>,
}

impl Finding {
    /// A finding without a fix yet.
    pub fn new(severity: Severity, kind: Kind, what: impl Into<String>) -> Self {
        Self {
            severity,
            kind,
            what: what.into(),
            seen: Vec::new(),
            screen: None,
            fix: Fix::default(),
            package: None,
            files: Vec::new(),
        }
    }

    /// An error.
    pub fn error(kind: Kind, what: impl Into<String>) -> Self {
        Self::new(Severity::Error, kind, what)
    }

    /// A warning.
    pub fn warning(kind: Kind, what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, kind, what)
    }

    /// A note.
    pub fn note(kind: Kind, what: impl Into<String>) -> Self {
        Self::new(Severity::Note, kind, what)
    }

    /// Adds something that was seen.
    #[must_use]
    pub fn seen(mut self, line: impl Into<String>) -> Self {
        self.seen.push(line.into());
        self
    }

    /// Says what the screen shows.
    #[must_use]
    pub fn screen(mut self, text: impl Into<String>) -> Self {
        self.screen = Some(text.into());
        self
    }

    /// Names the package whose files are wrong.
    #[must_use]
    pub fn package(mut self, name: Option<&str>) -> Self {
        self.package = name.map(str::to_string);
        self
    }

    /// Adds a file that it is about.
    #[must_use]
    pub fn file(mut self, path: impl ToString) -> Self {
        self.files.push(path.to_string());
        self
    }

    /// Says how to repair it.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = fix;
        self
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// The kinds of trouble, root causes first: findings of the same severity come in this
        /// order, since what stands further up explains what stands below.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for `--json` and for tests.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// A repair of newroot's own that did not come to its end.
    UnfinishedRepair = "unfinished-repair",
    /// An array or a volume group lacks members.
    VolumesIncomplete = "volumes-incomplete",
    /// The filesystem says of itself that it is damaged.
    FilesystemErrors = "filesystem-errors",
    /// A read error, or a directory that cannot be listed.
    Unreadable = "unreadable",
    /// No space, or no inodes.
    Full = "full",
    /// /usr is empty.
    UsrEmpty = "usr-empty",
    /// /bin, /lib, /lib64 or another link of the merged /usr is gone.
    UsrMerge = "usr-merge",
    /// The permissions of /, /usr or another directory shut everybody out.
    Directories = "directory-permissions",
    /// A directory that every system has is missing.
    DirectoryMissing = "directory-missing",
    /// The loader that programs name.
    LoaderMissing = "loader-missing",
    /// A library.
    LibraryMissing = "library-missing",
    /// A library that is there and damaged, or for another machine.
    LibraryDamaged = "library-damaged",
    /// A library that is too old or too new.
    LibraryVersion = "library-version",
    /// /etc/ld.so.preload.
    Preload = "preload",
    /// /bin/sh.
    Shell = "shell",
    /// No init.
    Init = "init",
    /// A program's file.
    ProgramDamaged = "program-damaged",
    /// A file of a package that is gone, empty or changed.
    PackageFiles = "package-files",
    /// The package manager was interrupted.
    PackagesInterrupted = "packages-interrupted",
    /// The package database.
    PackageDatabase = "package-database",
    /// The package manager's lock.
    PackageLock = "package-lock",
    /// No kernel at all.
    KernelMissing = "kernel-missing",
    /// A kernel image that is no kernel.
    KernelDamaged = "kernel-damaged",
    /// A kernel's modules.
    ModulesMissing = "modules-missing",
    /// A kernel without initramfs.
    InitramfsMissing = "initramfs-missing",
    /// An initramfs that nobody can unpack.
    InitramfsDamaged = "initramfs-damaged",
    /// An initramfs without kernel.
    InitramfsAlone = "initramfs-without-kernel",
    /// No configuration of a boot loader.
    LoaderConfigMissing = "bootloader-config-missing",
    /// A configuration that cannot be read as one.
    LoaderConfigBroken = "bootloader-config-broken",
    /// A configuration that names a file that is not there.
    LoaderConfigFile = "bootloader-config-file",
    /// A configuration that names a device that is not there, or another one than fstab.
    LoaderConfigDevice = "bootloader-config-device",
    /// No boot loader where the firmware looks.
    LoaderMissingBoot = "bootloader-missing",
    /// GRUB's own image or modules.
    LoaderDamaged = "bootloader-damaged",
    /// What the firmware remembers.
    FirmwareEntry = "firmware-entry",
    /// Secure Boot.
    SecureBoot = "secure-boot",
    /// A line of fstab that nobody understands.
    FstabSyntax = "fstab-syntax",
    /// fstab wants a device that nobody has.
    FstabDevice = "fstab-device",
    /// fstab names a filesystem type that the kernel does not have, or that the device has not.
    FstabType = "fstab-type",
    /// A mount point that is not there.
    FstabMountPoint = "fstab-mount-point",
    /// Two lines for one mount point.
    FstabDuplicate = "fstab-duplicate",
    /// fstab is missing, or names no root.
    FstabRoot = "fstab-root",
    /// A device that is named by its number.
    FstabName = "fstab-unreliable-name",
    /// crypttab.
    Crypttab = "crypttab",
    /// /etc/passwd.
    Passwd = "passwd",
    /// /etc/shadow.
    Shadow = "shadow",
    /// /etc/group.
    Group = "group",
    /// The shell of root.
    RootShell = "root-shell",
    /// Nobody can log in as root, nor become it.
    RootLocked = "root-locked",
    /// sudoers.
    Sudoers = "sudoers",
    /// PAM's configuration.
    Pam = "pam",
    /// What file permissions break or give away.
    Permissions = "permissions",
    /// ssh's host keys.
    SshKeys = "ssh-host-keys",
    /// /etc/machine-id.
    MachineId = "machine-id",
    /// The last boot ended in emergency mode.
    EmergencyMode = "emergency-mode",
    /// The kernel mounted a filesystem read-only.
    ReadOnly = "read-only-remount",
    /// The kernel's last words.
    Panic = "panic",
    /// Units that failed in the last boot.
    FailedUnits = "failed-units",
    /// Errors in the last boot's journal.
    LastBootErrors = "last-boot-errors",
    /// The journal of a filesystem has to be replayed.
    DirtyJournal = "dirty-journal",
    /// SELinux relabels at the next boot.
    Relabel = "selinux-relabel",
    /// Files that SELinux will not let anybody use.
    Selinux = "selinux",
    /// The clock.
    Clock = "clock",
    /// The system is hibernated.
    Hibernated = "hibernated",
}
