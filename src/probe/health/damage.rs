//! Good files, cut off at every length and with bytes changed: every reader comes to an end.

use std::hint::black_box;

use super::{accounts, boot, pkgstate, state};
use crate::model::RootPath;
use crate::root::{Mem, Tree as _};

const GRUB: &str = "set default=\"0\"\nsearch --no-floppy --fs-uuid --set=root 1111-aaaa\n\
    menuentry 'A \"b\"' --class x $id 'y' {\n\tlinux /boot/vmlinuz-6.1 root=UUID=1 ro\n\
    \tinitrd /boot/initrd.img-6.1\n}\nsubmenu 'More' {\n menuentry \"z\" {\n linux /k\n }\n}\n";
const BLS: &str = "title Fedora\nversion 6\nlinux /vmlinuz-6\ninitrd /i $x\noptions root=UUID=1\n";
const EXTLINUX: &str =
    "DEFAULT lts\nLABEL lts\n MENU LABEL x\n LINUX k\n INITRD a,b\n APPEND root=UUID=2\n";
const SUDOERS: &str = "Defaults env_reset\nUser_Alias A = ann, \\\n bob\nroot ALL=(ALL:ALL) ALL\n\
    @includedir /etc/sudoers.d\n@include /etc/sudoers\n";
const PAM: &str = "auth required pam_unix.so\n@include login\nauth [success=1] pam_x.so y\n";
const STATUS: &str = "Package: a\nStatus: install ok installed\nConffiles:\n /etc/x 00\n\n\
    Package: b\nStatus: install reinstreq half-installed\n";

/// Each file that is read, with good content.
fn good() -> Vec<(&'static str, Vec<u8>)> {
    let mut sqlite = b"SQLite format 3\0\x10\x00".to_vec();
    sqlite.resize(100, 0);
    sqlite[31] = 3;
    let mut program = b"MZ".to_vec();
    program.resize(0x200, 0);
    program[0x3c] = 0x80;
    program[0x80..0x84].copy_from_slice(b"PE\0\0");
    program[0x98] = 0x0b;
    program[0x99] = 2;
    let mut kernel = vec![1; 0x400];
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    let text: &[(&str, &str)] = &[
        ("/boot/grub/grub.cfg", GRUB),
        ("/boot/loader/entries/a.conf", BLS),
        ("/boot/extlinux.conf", EXTLINUX),
        ("/etc/sudoers", SUDOERS),
        ("/etc/pam.d/login", PAM),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n+::::::\n"),
        ("/etc/shadow", "root:$y$j9T$abcdefghij:19000:0:99999:7:::\n"),
        ("/etc/group", "root:x:0:\nsudo:x:27:ann,bob\n"),
        ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("/etc/ld.so.preload", "/lib/a.so /lib/b.so # c\n"),
        ("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=x\n"),
        ("/var/lib/dpkg/status", STATUS),
        ("/boot/efi/EFI/debian/grub.cfg", "search.fs_uuid 1-2 root\n"),
    ];
    let text = text
        .iter()
        .map(|(path, text)| (*path, text.as_bytes().to_vec()));
    let binary = [
        ("/var/lib/rpm/rpmdb.sqlite", sqlite),
        ("/boot/efi/EFI/debian/grubx64.efi", program),
        ("/boot/vmlinuz-6.1", kernel),
    ];
    text.chain(binary).collect()
}

fn read(tree: &Mem) {
    let kernel = RootPath::new("/boot/vmlinuz-6.1");
    black_box((
        accounts::look(tree),
        boot::config::find(tree),
        boot::firmware::on_esp(tree),
        boot::image::kernel(tree, &kernel).is_ok(),
        boot::image::initramfs(tree, &kernel),
        pkgstate::look(tree),
        state::look(tree),
    ));
}

fn base() -> Mem {
    let tree = Mem::new()
        .with_file("/bin/sh", "x")
        .with_file("/usr/bin/sudo", "x")
        .with_file("/var/lib/dpkg/info/a.list", "/.\n");
    good()
        .into_iter()
        .fold(tree, |tree, (path, bytes)| tree.with_file(path, bytes))
}

#[test]
fn what_is_whole_is_read_as_such() {
    let tree = base();
    let accounts = accounts::look(&tree);
    assert!(accounts.passwd.bad.is_empty() && accounts.shadow.bad.is_empty());
    let configs = boot::config::find(&tree);
    assert_eq!(configs.len(), 3);
    assert!(
        configs.iter().all(|config| config.broken.is_none()),
        "{configs:?}"
    );
    assert!(boot::firmware::on_esp(&tree).programs[0].whole);
    assert!(tree.stat(&RootPath::new("/etc/machine-id")).is_ok());
    assert_eq!(state::look(&tree).machine_id, state::MachineId::Good);
}

#[test]
fn whatever_is_cut_off_or_changed_is_read_to_an_end() {
    let base = base();
    let mut seed = 1_u64;
    for (path, bytes) in good() {
        for cut in (0..bytes.len().min(600)).step_by(5) {
            read(&base.clone().with_file(path, bytes[..cut].to_vec()));
        }
        for round in 0..60_usize {
            let mut changed = bytes.clone();
            for _ in 0..=round % 4 {
                // Knuth's MMIX constants: the same bytes in every run.
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(seed >> 33).unwrap() % changed.len();
                changed[at] = seed.to_be_bytes()[1];
            }
            read(&base.clone().with_file(path, changed));
        }
    }
}
