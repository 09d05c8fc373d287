//! Healthy systems of other families, laid out by hand as each lays itself out: nothing to say.
//!
//! Their mirrors cannot be reached from where this is developed, so the programs are this
//! machine's, and the kernel and its initramfs are the Debian's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::layer::Base;
use super::{DEBIAN, PATIENCE, grave, report};
use crate::disk::sh;
use crate::fixture::glibc_root;
use crate::need::Need;
use crate::trial::Trial;

const ROOT: &str = "11111111-2222-4333-8444-555555555555";
const VERSION: &str = "6.12.0-1";
/// Made by rpm(8): what [`Tree::sums`] lays out.
const RPMDB: &[u8] = include_bytes!("../../fixtures/rpm/sums.sqlite");

pub(super) fn trials() -> Vec<Trial> {
    let musl = [DEBIAN, &[Need::File("/lib/ld-musl-x86_64.so.1")]].concat();
    vec![
        Trial::new("doctor::fedora_is_well", DEBIAN, fedora).timeout(PATIENCE),
        Trial::new("doctor::arch_is_well", DEBIAN, arch).timeout(PATIENCE),
        Trial::new("doctor::opensuse_is_well", DEBIAN, opensuse).timeout(PATIENCE),
        Trial::new("doctor::alpine_is_well", &musl, alpine).timeout(PATIENCE),
        Trial::new("doctor::a_jail_is_well", &[], a_jail),
    ]
}

/// A tree under construction, and the Debian that lends its kernel.
struct Tree {
    top: tempfile::TempDir,
    base: Base,
}

impl Tree {
    fn new(release: &str) -> Self {
        let tree = Self {
            top: tempfile::tempdir_in("/tmp").unwrap(),
            base: Base::get(),
        };
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
        tree.file("usr/lib/os-release", release);
        tree.link("etc/os-release", "../usr/lib/os-release");
        for (path, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
            fs::create_dir_all(tree.at(path)).unwrap();
            fs::set_permissions(tree.at(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        for path in [
            "dev",
            "proc",
            "sys",
            "run",
            "boot",
            "var/lib",
            "var/log",
            "usr/share",
        ] {
            fs::create_dir_all(tree.at(path)).unwrap();
        }
        tree.file("etc/hostname", "lab\n");
        tree.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        tree.file("etc/group", "root:x:0:\nwheel:x:10:ann\nann:x:1000:\n");
        tree.file(
            "etc/shadow",
            "root:$6$a$b:19000:0:99999:7:::\nann:$6$a$b:19000::::::\n",
        );
        tree.mode("etc/shadow", 0o600);
        tree
    }

    fn path(&self) -> &Path {
        self.top.path()
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.path().join(path)
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// Programs of this machine with their libraries in `libraries`, all below a merged /usr.
    fn merged(&self, libraries: &str, sbin: &str) {
        let from = tempfile::tempdir_in("/tmp").unwrap();
        glibc_root(
            from.path(),
            &["bash", "ls", "cat", "grep", "login", "mount"],
        );
        let (from, top) = (from.path().display(), self.path().display());
        sh(&format!(
            "cd {top}; mkdir -p usr/bin {libraries} usr/lib usr/sbin usr/lib/systemd; \
             cp {from}/bin/* usr/bin; find {from} -name '*.so*' -exec cp {{}} {libraries} ';'; \
             [ {sbin} = usr/sbin ] || {{ rmdir usr/sbin; ln -s bin usr/sbin; }}; \
             ln -s usr/bin bin; ln -s {sbin} sbin; ln -s usr/lib lib; \
             [ {libraries} = usr/lib ] && ln -s lib usr/lib64 || true; ln -s usr/lib64 lib64; \
             ln -s bash usr/bin/sh; cp usr/bin/cat usr/lib/systemd/systemd; \
             ln -s ../lib/systemd/systemd {sbin}/init; \
             echo /{libraries} >etc/ld.so.conf; ldconfig -r ."
        ));
        self.file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n",
        );
    }

    /// The Debian's kernel and initramfs under these names; modules of [`VERSION`].
    fn kernel(&self, image: &str, initramfs: &[&str]) {
        let (base, top) = (self.base.path().display(), self.path().display());
        sh(&format!(
            "cd {top}; mkdir -p $(dirname {image}) usr/lib/modules/{VERSION}; \
             cp {base}/boot/vmlinuz-* {image}; \
             cp {base}/usr/lib/modules/*/modules.dep usr/lib/modules/{VERSION}/"
        ));
        for name in initramfs {
            sh(&format!("cp {base}/boot/initrd.img-* {top}/{name}"));
        }
    }

    /// What the package of the fixture rpm/sums.sqlite brought; it holds a program that is no whole
    /// one, and was meant to be so.
    fn sums(&self) {
        self.file("usr/bin/sums", "#!/bin/sh\necho sums\n");
        self.file("usr/bin/sums-cut", "\x7fELF cut off on purpose\n");
        self.mode("usr/bin/sums-cut", 0o755);
        self.link("usr/bin/sums-link", "sums");
        self.file("usr/lib/sums/data", "data\n");
        self.file("usr/lib/sums/empty", "");
    }

    /// Breaks it by a script: says whether this, with these words about the package, is all that is
    /// found.
    fn breaks(&self, script: &str, kind: &str, words: &[&str]) {
        sh(&format!("cd {}; {script}", self.path().display()));
        let report = report(self.path());
        super::is_only(&report, kind).unwrap_or_else(|why| panic!("{script}: {why}"));
        let text = report["findings"].to_string();
        for word in words {
            assert!(text.contains(word), "{script}: {word}: {report:#}");
        }
    }

    /// Says whether the doctor finds nothing.
    fn is_well(&self) {
        let report = report(self.path());
        assert!(grave(&report).is_empty(), "{report:#}");
        assert!(report["programs"].as_u64().unwrap() > 0, "{report:#}");
        let unchecked = report["not_checked"].to_string();
        assert!(
            !unchecked.contains("booting"),
            "taken for a container: {unchecked}"
        );
    }
}

fn fedora() {
    let tree = Tree::new("ID=fedora\nNAME=\"Fedora Linux\"\nVERSION_ID=43\n");
    tree.merged("usr/lib64", "usr/sbin");
    tree.kernel(
        &format!("boot/vmlinuz-{VERSION}.fc43.x86_64"),
        &[&format!("boot/initramfs-{VERSION}.fc43.x86_64.img")],
    );
    sh(&format!(
        "cd {}/usr/lib/modules; mv {VERSION} {VERSION}.fc43.x86_64",
        tree.path().display()
    ));
    tree.file(
        "etc/fstab",
        &format!("UUID={ROOT} / btrfs subvol=root,compress=zstd:1 0 0\nUUID={ROOT} /home btrfs subvol=home 0 0\n"),
    );
    fs::create_dir(tree.at("home")).unwrap();
    tree.file(
        &format!("boot/loader/entries/0123-{VERSION}.fc43.x86_64.conf"),
        &format!(
            "title Fedora\nversion {VERSION}.fc43.x86_64\nlinux /vmlinuz-{VERSION}.fc43.x86_64\n\
             initrd /initramfs-{VERSION}.fc43.x86_64.img $tuned_initrd\n\
             options root=UUID={ROOT} ro rootflags=subvol=root rhgb quiet $tuned_params\n\
             grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class fedora\n"
        ),
    );
    tree.file(
        "boot/grub2/grub.cfg",
        "set pager=1\nload_env\ninsmod blscfg\nblscfg\nif [ -f ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nfi\n",
    );
    tree.file(
        "etc/selinux/config",
        "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
    );
    tree.file("etc/selinux/targeted/policy/policy.33", "policy");
    tree.file("etc/sudoers", "Defaults !visiblepw\nroot ALL=(ALL) ALL\n%wheel ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n");
    tree.mode("etc/sudoers", 0o440);
    tree.sums();
    tree.link("var/lib/rpm", "../../usr/lib/sysimage/rpm");
    fs::create_dir_all(tree.at("usr/lib/sysimage/rpm")).unwrap();
    fs::write(tree.at("usr/lib/sysimage/rpm/rpmdb.sqlite"), RPMDB).unwrap();
    tree.is_well();
    tree.breaks(
        "echo >>usr/bin/sums-cut",
        "program-damaged",
        &[
            "has not the checksum that package newroot-sums recorded",
            "dnf reinstall newroot-sums",
        ],
    );
    tree.breaks(
        "truncate -s -1 usr/bin/sums-cut; : >usr/lib/sums/data",
        "package-files",
        &[
            "1 file of package newroot-sums is empty",
            "/usr/lib/sums/data",
        ],
    );
    tree.breaks(
        "echo data >usr/lib/sums/data; sed -i 's,^linux .*,linux /vmlinuz-gone,' boot/loader/entries/*",
        "bootloader-config-file",
        &["/vmlinuz-gone", "kernel-install add-all"],
    );
}

fn arch() {
    let tree = Tree::new("ID=arch\nNAME=\"Arch Linux\"\nBUILD_ID=rolling\n");
    tree.merged("usr/lib", "usr/bin");
    tree.kernel(
        "boot/vmlinuz-linux",
        &[
            "boot/initramfs-linux.img",
            "boot/initramfs-linux-fallback.img",
        ],
    );
    tree.file("usr/lib/modules/6.12.0-1/pkgbase", "linux\n");
    tree.file(
        "etc/fstab",
        &format!(
            "UUID={ROOT} / ext4 rw,relatime 0 1\nUUID=ABCD-1234 /boot vfat rw,fmask=0022 0 2\n"
        ),
    );
    tree.file("boot/loader/loader.conf", "default arch.conf\ntimeout 3\n");
    tree.file(
        "boot/loader/entries/arch.conf",
        &format!("title Arch Linux\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\noptions root=UUID={ROOT} rw\n"),
    );
    for path in [
        "boot/EFI/systemd/systemd-bootx64.efi",
        "boot/EFI/BOOT/BOOTX64.EFI",
    ] {
        fs::create_dir_all(tree.at(path).parent().unwrap()).unwrap();
        fs::copy(tree.at("boot/vmlinuz-linux"), tree.at(path)).unwrap();
    }
    tree.file("var/lib/pacman/local/ALPM_DB_VERSION", "9\n");
    tree.file(
        "var/lib/pacman/local/bash-5.2-1/desc",
        "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n",
    );
    tree.file(
        "var/lib/pacman/local/bash-5.2-1/files",
        "%FILES%\nusr/\nusr/bin/\nusr/bin/bash\n\n",
    );
    tree.file("usr/lib/systemd/system/a.service", "[Unit]\n");
    sh(&format!(
        "cd {}; sum() {{ sha256sum $1 | cut -d' ' -f1; }}; {{ echo '#mtree'; \
         echo '/set type=file uid=0 gid=0 mode=755'; echo './usr time=1.0 type=dir'; \
         echo \"./usr/bin/bash time=1.0 size=1 sha256digest=$(sum usr/bin/bash)\"; \
         unit=usr/lib/systemd/system/a.service; \
         echo \"./$unit time=1.0 mode=644 size=7 sha256digest=$(sum $unit)\"; \
         }} | gzip >var/lib/pacman/local/bash-5.2-1/mtree",
        tree.path().display()
    ));
    tree.is_well();
    tree.breaks(
        "cp -p usr/bin/bash tmp/bash; truncate -s 50000 usr/bin/bash",
        "program-damaged",
        &["has not the checksum that package bash recorded"],
    );
    tree.breaks(
        "mv tmp/bash usr/bin/bash; : >usr/lib/systemd/system/a.service",
        "package-files",
        &["1 file of package bash is empty", "pacman -S bash"],
    );
    // systemd-boot: another root than fstab's, and no program on the ESP.
    tree.breaks(
        "echo '[Unit]' >usr/lib/systemd/system/a.service; \
         sed -i s/root=UUID=1111/root=UUID=2222/ boot/loader/entries/arch.conf",
        "bootloader-config-device",
        &[
            "22221111-2222-4333-8444-555555555555",
            "boot/loader/entries/arch.conf",
        ],
    );
    tree.breaks(
        "sed -i s/root=UUID=2222/root=UUID=1111/ boot/loader/entries/arch.conf; \
         : >boot/EFI/systemd/systemd-bootx64.efi; : >boot/EFI/BOOT/BOOTX64.EFI",
        "bootloader-missing",
        &["bootctl --variables=yes install"],
    );
}

fn opensuse() {
    let tree = Tree::new(
        "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nNAME=\"openSUSE Leap\"\nVERSION_ID=\"15.6\"\n",
    );
    tree.merged("usr/lib64", "usr/sbin");
    tree.kernel(
        &format!("boot/vmlinuz-{VERSION}-default"),
        &[&format!("boot/initrd-{VERSION}-default")],
    );
    tree.link("boot/vmlinuz", &format!("vmlinuz-{VERSION}-default"));
    tree.link("boot/initrd", &format!("initrd-{VERSION}-default"));
    sh(&format!(
        "cd {}/usr/lib/modules; mv {VERSION} {VERSION}-default",
        tree.path().display()
    ));
    tree.file(
        "etc/fstab",
        &format!("UUID={ROOT} / btrfs defaults 0 0\nUUID={ROOT} /var btrfs subvol=/@/var 0 0\nUUID={ROOT} /.snapshots btrfs subvol=/@/.snapshots 0 0\n"),
    );
    fs::create_dir(tree.at(".snapshots")).unwrap();
    tree.file(
        "boot/grub2/grub.cfg",
        &format!(
            "search --no-floppy --fs-uuid --set=root {ROOT}\n\
             menuentry 'openSUSE Leap 15.6' --class opensuse {{\n\tload_video\n\tinsmod btrfs\n\
             \tsearch --no-floppy --fs-uuid --set=root {ROOT}\n\
             \tlinux /boot/vmlinuz-{VERSION}-default root=UUID={ROOT} splash=silent\n\
             \tinitrd /boot/initrd-{VERSION}-default\n}}\n"
        ),
    );
    // sudo's and PAM's files are the distribution's own, below /usr.
    tree.file(
        "usr/etc/sudoers",
        "root ALL=(ALL:ALL) ALL\n@includedir /usr/etc/sudoers.d\n",
    );
    tree.mode("usr/etc/sudoers", 0o440);
    tree.file(
        "usr/lib/pam.d/login",
        "#%PAM-1.0\nauth include common-auth\n",
    );
    tree.file("usr/lib/pam.d/other", "#%PAM-1.0\n");
    tree.sums();
    fs::create_dir_all(tree.at("usr/lib/sysimage/rpm")).unwrap();
    fs::write(tree.at("usr/lib/sysimage/rpm/rpmdb.sqlite"), RPMDB).unwrap();
    tree.is_well();
    tree.breaks(
        "rm usr/bin/sums",
        "package-files",
        &["zypper install --force newroot-sums"],
    );
}

fn alpine() {
    let tree = Tree::new("ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.22.1\n");
    let top = tree.path().display();
    let busybox = crate::need::find_program("busybox").unwrap();
    sh(&format!(
        "cd {top}; mkdir -p bin sbin lib usr/bin usr/sbin lib/apk/db; cp {busybox} bin/busybox; \
         for each in sh ls mount login; do ln -s /bin/busybox bin/$each; done; \
         ln -s /bin/busybox sbin/init; cp -L /lib/ld-musl-x86_64.so.1 lib/; \
         ln -s ld-musl-x86_64.so.1 lib/libc.musl-x86_64.so.1; \
         echo 'int main(void){{return 0;}}' >tmp/x.c; musl-gcc -o usr/bin/apk tmp/x.c; rm tmp/x.c; \
         mkdir usr/lib/modules; ln -s ../usr/lib/modules lib/modules",
        busybox = busybox.display()
    ));
    tree.kernel("boot/vmlinuz-lts", &["boot/initramfs-lts"]);
    sh(&format!(
        "cd {top}; rm lib/modules; mv usr/lib/modules lib/modules; mv lib/modules/{VERSION} lib/modules/{VERSION}-lts"
    ));
    tree.file(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
    );
    tree.file("etc/fstab", &format!("UUID={ROOT}\t/\text4\trw,relatime 0 1\n/dev/cdrom\t/media/cdrom\tiso9660\tnoauto,ro 0 0\n"));
    tree.file("etc/inittab", "::sysinit:/sbin/openrc sysinit\n");
    tree.file(
        "boot/extlinux.conf",
        &format!("DEFAULT lts\nTIMEOUT 10\nLABEL lts\n  MENU LABEL Linux lts\n  LINUX vmlinuz-lts\n  INITRD initramfs-lts\n  APPEND root=UUID={ROOT} modules=ext4 quiet\n"),
    );
    tree.file(
        "lib/apk/db/installed",
        "P:musl\nV:1.2.5-r9\nF:lib\nR:ld-musl-x86_64.so.1\n\n",
    );
    sh(&format!(
        "cd {}; sum() {{ sha1sum $1 | cut -c1-40 | perl -ne 'chomp; print pack \"H*\", $_' | base64; }}; \
         printf 'P:apk-tools\\nF:usr/bin\\nR:apk\\na:0:0:755\\nZ:Q1%s\\n\\n' \"$(sum usr/bin/apk)\" \
         >>lib/apk/db/installed",
        tree.path().display()
    ));
    tree.is_well();
    tree.breaks(
        "truncate -s 5000 usr/bin/apk",
        "program-damaged",
        &[
            "has not the checksum that package apk-tools recorded",
            "apk fix --reinstall apk-tools",
        ],
    );
    tree.breaks(
        "rm usr/bin/apk; sed -i '/^P:apk/,$d' lib/apk/db/installed; \
         sed -i s/initramfs-lts/initramfs-gone/ boot/extlinux.conf",
        "bootloader-config-file",
        &["initramfs-gone", "update-extlinux"],
    );
}

/// What newroot itself makes: it does not boot, and nobody asks it to.
fn a_jail() {
    let top = tempfile::tempdir_in("/tmp").unwrap();
    let jail = top.path().join("jail");
    let words = ["jail", "build", jail.to_str().unwrap(), "bash", "ls", "cat"];
    crate::run::newroot(words).run().code(0);
    let report = report(&jail);
    assert!(grave(&report).is_empty(), "{report:#}");
}
