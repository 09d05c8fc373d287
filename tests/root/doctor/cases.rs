//! Ways to break a Debian. Each is a script run at its top, and what the doctor has to say first.

/// Name, script, kind of the first finding.
pub(super) type Case = (&'static str, &'static str, &'static str);

const LIB: &str = "usr/lib/x86_64-linux-gnu";

/// Puts the directory of libraries in, so that the table stays readable.
pub(super) fn script(case: &Case) -> String {
    case.1.replace("LIB", LIB)
}

/// Programs, libraries, links and permissions.
pub(super) const PROGRAMS: &[Case] = &[
    ("libc removed", "rm LIB/libc.so.6", "library-missing"),
    (
        "loader removed",
        "rm LIB/ld-linux-x86-64.so.2",
        "loader-missing",
    ),
    (
        "libselinux removed",
        "rm LIB/libselinux.so.1",
        "library-missing",
    ),
    (
        "a library without its file",
        "rm LIB/libcrypto.so.3 LIB/libssl.so.3",
        "library-missing",
    ),
    (
        "wrong version of a library",
        "d=$(mktemp -d); echo 'int freecon(void){return 0;}' >$d/x.c; echo 'OTHER_9 { global: *; };' >$d/x.map; \
         cc -shared -nostdlib -Wl,-soname,libselinux.so.1 -Wl,--version-script=$d/x.map -o LIB/libselinux.so.1 $d/x.c; rm -r $d",
        "library-version",
    ),
    (
        "a library cut off",
        "truncate -s 100000 LIB/libcrypto.so.3",
        "library-damaged",
    ),
    (
        "a library of zeros",
        "s=$(stat -c %s LIB/libz.so.1.2.13); head -c $s /dev/zero >LIB/libz.so.1.2.13",
        "library-damaged",
    ),
    (
        "a library that is text",
        "echo '404 not found' >LIB/libz.so.1.2.13",
        "library-damaged",
    ),
    (
        "a program cut off",
        "truncate -s 50000 usr/bin/git",
        "program-damaged",
    ),
    ("a program emptied", ": >usr/sbin/sshd", "program-damaged"),
    (
        "a plugin cut off",
        "truncate -s 10000 LIB/security/pam_unix.so",
        "library-damaged",
    ),
    (
        "a unit file emptied",
        ": >usr/lib/systemd/system/systemd-journald.service",
        "package-files",
    ),
    (
        "a script of a package removed",
        "rm usr/bin/deb-systemd-helper usr/bin/deb-systemd-invoke",
        "package-files",
    ),
    (
        "/etc/ld.so.preload",
        "echo /usr/lib/gone.so >etc/ld.so.preload",
        "preload",
    ),
    ("/bin/sh removed", "rm usr/bin/sh", "shell"),
    ("dash removed", "rm usr/bin/dash", "shell"),
    (
        "/bin/sh leads elsewhere",
        "ln -sfn /opt/sh usr/bin/sh",
        "shell",
    ),
    ("init removed", "rm usr/sbin/init", "init"),
    ("/lib is gone", "rm lib", "usr-merge"),
    ("/lib64 is gone", "rm lib64", "usr-merge"),
    ("/bin is gone", "rm bin", "usr-merge"),
    ("/bin leads elsewhere", "ln -sfn usr/bim bin", "usr-merge"),
    ("/usr is empty", "rm -rf usr; mkdir usr", "usr-empty"),
    ("/proc is gone", "rmdir proc", "directory-missing"),
    ("/ is closed", "chmod 0700 .", "directory-permissions"),
    (
        "/usr/bin is open",
        "chmod 0777 usr/bin",
        "directory-permissions",
    ),
    ("/tmp is closed", "chmod 0755 tmp", "permissions"),
    (
        "shadow for everybody",
        "chmod 0644 etc/shadow",
        "permissions",
    ),
    ("passwd for nobody", "chmod 0600 etc/passwd", "permissions"),
    (
        "sudo without its bit",
        "chmod 0755 usr/bin/sudo",
        "permissions",
    ),
];

/// Kernels, boot loaders, fstab.
pub(super) const BOOT: &[Case] = &[
    ("kernel removed", "rm boot/vmlinuz-*", "kernel-missing"),
    (
        "kernel cut off",
        "truncate -s 1000000 boot/vmlinuz-*",
        "kernel-damaged",
    ),
    (
        "kernel of zeros",
        "s=$(stat -c %s boot/vmlinuz-*); head -c $s /dev/zero >$(echo boot/vmlinuz-*)",
        "kernel-damaged",
    ),
    (
        "modules removed",
        "rm -r usr/lib/modules/*",
        "modules-missing",
    ),
    (
        "modules without index",
        "rm usr/lib/modules/*/modules.dep",
        "modules-missing",
    ),
    (
        "initramfs removed",
        "rm boot/initrd.img-*",
        "initramfs-missing",
    ),
    (
        "initramfs emptied",
        ": >$(echo boot/initrd.img-*)",
        "initramfs-missing",
    ),
    (
        "initramfs cut off",
        "truncate -s 9000000 boot/initrd.img-*",
        "initramfs-damaged",
    ),
    (
        "initramfs is text",
        "date >$(echo boot/initrd.img-*)",
        "initramfs-damaged",
    ),
    (
        "a second kernel without initramfs",
        "k=$(echo boot/vmlinuz-*); cp $k boot/vmlinuz-6.1.0-99-amd64; cp -r usr/lib/modules/* usr/lib/modules/6.1.0-99-amd64; sed -i '0,/vmlinuz-6.1.0-[0-9]*/s//vmlinuz-6.1.0-99/' boot/grub/grub.cfg",
        "initramfs-missing",
    ),
    (
        "grub.cfg removed",
        "rm boot/grub/grub.cfg",
        "bootloader-config-missing",
    ),
    (
        "grub.cfg cut off",
        "sed -i '/initrd/,$d' boot/grub/grub.cfg",
        "bootloader-config-broken",
    ),
    (
        "grub.cfg emptied",
        ": >boot/grub/grub.cfg",
        "bootloader-config-broken",
    ),
    (
        "grub.cfg of another disk",
        "sed -i 's/[0-9a-f]*-[0-9a-f]*-[0-9a-f]*-[0-9a-f]*-[0-9a-f]\\{12\\}/11111111-2222-3333-4444-555555555555/g' boot/grub/grub.cfg",
        "bootloader-config-device",
    ),
    (
        "grub.cfg with another root",
        "sed -i 's/root=UUID=[0-9a-f-]*/root=UUID=11111111-2222-3333-4444-555555555555/' boot/grub/grub.cfg",
        "bootloader-config-device",
    ),
    (
        "grub.cfg is stale",
        "sed -i 's/6.1.0-[0-9]*-amd64/6.1.0-7-amd64/g' boot/grub/grub.cfg",
        "bootloader-config-file",
    ),
    (
        "GRUB's modules gone",
        "rm boot/grub/i386-pc/normal.mod",
        "bootloader-damaged",
    ),
    (
        "fstab without a type",
        "echo 'UUID=1234-5678 /data' >>etc/fstab",
        "fstab-syntax",
    ),
    (
        "fstab names no device",
        "echo 'UID=1234-5678 /data ext4 defaults 0 2' >>etc/fstab",
        "fstab-syntax",
    ),
    (
        "fstab with a relative mount point",
        "echo 'UUID=1234-5678 data ext4 defaults 0 2' >>etc/fstab",
        "fstab-syntax",
    ),
    (
        "fstab with an unknown type",
        "sed -i 's/ext4/ext5/' etc/fstab",
        "fstab-type",
    ),
    (
        "fstab twice",
        "grep ' / ' etc/fstab >x; sed 's/UUID=[^ ]*/LABEL=other/' x >>etc/fstab; rm x",
        "fstab-duplicate",
    ),
    ("fstab removed", "rm etc/fstab", "fstab-root"),
    (
        "crypttab without a device",
        "echo data_crypt >>etc/crypttab",
        "crypttab",
    ),
    (
        "crypttab has no such name",
        "echo '/dev/mapper/data_crypt /data ext4 defaults 0 2' >>etc/fstab; mkdir data",
        "crypttab",
    ),
];

/// Packages, accounts and the rest.
pub(super) const STATE: &[Case] = &[
    (
        "dpkg interrupted",
        "sed -i '/^Package: git$/,/^$/s/^Status: .*/Status: install ok half-configured/' var/lib/dpkg/status",
        "packages-interrupted",
    ),
    (
        "dpkg wants a package again",
        "sed -i '/^Package: git$/,/^$/s/^Status: .*/Status: install reinstreq installed/' var/lib/dpkg/status",
        "packages-interrupted",
    ),
    (
        "dpkg interrupted early",
        "cp etc/hostname var/lib/dpkg/updates/0001",
        "packages-interrupted",
    ),
    (
        "dpkg's status emptied",
        ": >var/lib/dpkg/status",
        "package-database",
    ),
    (
        "dpkg's status of zeros",
        "head -c 4096 /dev/zero >>var/lib/dpkg/status",
        "package-database",
    ),
    (
        "dpkg's status torn",
        "truncate -s 50003 var/lib/dpkg/status; printf '\\nDescri' >>var/lib/dpkg/status",
        "package-database",
    ),
    (
        "pacman was interrupted",
        "mkdir -p var/lib/pacman/local; : >var/lib/pacman/db.lck",
        "package-lock",
    ),
    ("passwd emptied", ": >etc/passwd", "passwd"),
    (
        "passwd without root",
        "sed -i '/^root:/d' etc/passwd",
        "passwd",
    ),
    (
        "a broken line in passwd",
        "sed -i 's/^ann:.*/ann/' etc/passwd",
        "passwd",
    ),
    ("shadow removed", "rm etc/shadow", "shadow"),
    ("shadow emptied", ": >etc/shadow", "shadow"),
    (
        "shadow without root",
        "sed -i '/^root:/d' etc/shadow",
        "shadow",
    ),
    (
        "a broken line in shadow",
        "sed -i 's/^\\(ann:[^:]*\\):.*/\\1/' etc/shadow; sed -i '/^ann:/s/$/:::::::x/' etc/shadow; sed -i 's/^ann:.*/ann:hash:soon:0:99999:7:::/' etc/shadow",
        "shadow",
    ),
    ("group removed", "rm etc/group", "group"),
    (
        "root's shell",
        "sed -i '/^root:/s,[^:]*$,/bin/zsh,' etc/passwd",
        "root-shell",
    ),
    (
        "sudoers: syntax",
        "sed -i 's/^root.*/root ALL ALL/' etc/sudoers",
        "sudoers",
    ),
    (
        "sudoers: an included file",
        "echo 'ann nonsense' >etc/sudoers.d/ann",
        "sudoers",
    ),
    ("sudoers for everybody", "chmod 0666 etc/sudoers", "sudoers"),
    ("PAM module removed", "rm LIB/security/pam_unix.so", "pam"),
    ("PAM configuration removed", "rm -r etc/pam.d", "pam"),
    (
        "host keys for everybody",
        "chmod 0644 etc/ssh/ssh_host_*_key",
        "ssh-host-keys",
    ),
    (
        "host keys removed",
        "rm etc/ssh/ssh_host_*",
        "ssh-host-keys",
    ),
    (
        "machine-id is no id",
        "echo web03 >etc/machine-id",
        "machine-id",
    ),
    (
        "SELinux without a policy",
        "mkdir -p etc/selinux; printf 'SELINUX=enforcing\\nSELINUXTYPE=default\\n' >etc/selinux/config",
        "selinux",
    ),
    (
        "the kernel crashed",
        "mkdir -p var/lib/systemd/pstore/1; echo panic >var/lib/systemd/pstore/1/dmesg.txt",
        "panic",
    ),
    (
        "a repair was interrupted",
        "mkdir -p var/backups/newroot/20261124-0312; : >var/backups/newroot/20261124-0312/unfinished",
        "unfinished-repair",
    ),
    (
        "several things: the repair comes first",
        "mkdir -p var/backups/newroot/x; : >var/backups/newroot/x/unfinished",
        "unfinished-repair",
    ),
];

/// What is worth a note and no more.
pub(super) const NOTES: &[Case] = &[
    (
        "an initramfs without kernel",
        "cp boot/initrd.img-* boot/initrd.img-5.10.0-1-amd64",
        "initramfs-without-kernel",
    ),
    (
        "a mount point is missing",
        "echo 'UUID=1234-5678 /data ext4 defaults 0 2' >>etc/fstab",
        "fstab-mount-point",
    ),
    (
        "root is locked",
        "sed -i 's/^root:[^:]*:/root:*:/' etc/shadow",
        "root-locked",
    ),
    (
        "SELinux relabels",
        "mkdir -p etc/selinux; printf 'SELINUX=permissive\nSELINUXTYPE=default\n' >etc/selinux/config; : >.autorelabel",
        "selinux-relabel",
    ),
    ("machine-id is missing", "rm etc/machine-id", "machine-id"),
];
