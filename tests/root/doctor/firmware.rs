//! What UEFI firmware remembers, from variables laid where the kernel shows them, and a disk that
//! the kernel knows with its partitions.

use std::fs;
use std::path::Path;

use super::disks::{copy, uefi};
use super::{DEBIAN, PATIENCE, all, report};
use crate::disk::{self, sh};
use crate::trial::Trial;

const VARIABLES: &str = "/sys/firmware/efi/efivars";
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const GRUB: &str = "\\EFI\\debian\\grubx64.efi";

pub(super) fn trials() -> Vec<Trial> {
    vec![Trial::new("doctor::firmware_entries", DEBIAN, entries).timeout(PATIENCE)]
}

/// Name, boot entries (the program, whether it is active), Secure Boot, a script for the ESP; the
/// severity and kind of all that is found.
type Case = (
    &'static str,
    &'static [(&'static str, bool)],
    u8,
    &'static str,
    &'static [(&'static str, &'static str)],
);

pub(super) const CASES: &[Case] = &[
    ("its own entry", &[(GRUB, true)], 0, "true", &[]),
    (
        "no entry at all",
        &[],
        0,
        "true",
        &[("error", "firmware-entry")],
    ),
    (
        "an entry that is switched off",
        &[(GRUB, false)],
        0,
        "true",
        &[("error", "firmware-entry")],
    ),
    (
        "no entry, and the fallback",
        &[],
        0,
        "mkdir EFI/BOOT; cp EFI/debian/grubx64.efi EFI/BOOT/BOOTX64.EFI",
        &[],
    ),
    (
        "an entry for a program that is gone",
        &[("\\EFI\\debian\\shimx64.efi", true), (GRUB, true)],
        0,
        "rm -rf EFI/BOOT",
        &[("note", "firmware-entry")],
    ),
    (
        "Secure Boot and a signed program",
        &[(GRUB, true)],
        1,
        "true",
        &[],
    ),
    (
        // The certificate table is the fifth entry of the PE header's directory.
        "Secure Boot and a program without signature",
        &[(GRUB, true)],
        1,
        "perl -e 'open F, \"+<\", \"EFI/debian/grubx64.efi\"; seek F, 60, 0; read F, $at, 4; \
         seek F, unpack(\"V\", $at) + 24 + 112 + 32, 0; print F \"\\0\" x 8'",
        &[("warning", "secure-boot")],
    ),
];

/// A disk that the kernel knows; it goes with this.
struct Known(String);

impl Known {
    fn new(disk: &Path) -> Self {
        let device = sh(&format!("losetup --find --show {}", disk.display()));
        let known = Self(device.trim().to_string());
        sh(&format!("[ -e {0}p1 ] || partx --add {0}", known.0));
        known
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        sh(&format!(
            "partx --delete {0} || true; losetup -d {0}",
            self.0
        ));
    }
}

/// A machine that was booted by UEFI, as far as /sys tells.
struct Variables;

impl Variables {
    fn new() -> Self {
        sh(&format!(
            "mount -t tmpfs tmpfs /sys/firmware; mkdir -p {VARIABLES}"
        ));
        Self
    }

    /// Attributes come before the content.
    fn set(name: &str, content: &[u8]) {
        let path = format!("{VARIABLES}/{name}-{GLOBAL}");
        fs::write(path, [&[7, 0, 0, 0], content].concat()).unwrap();
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        sh("umount /sys/firmware");
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

/// EFI_LOAD_OPTION: attributes, length of the path, label, the path of a partition and a file.
fn entry(partition: &str, file: &str, active: bool) -> Vec<u8> {
    let hex: Vec<u8> = partition
        .replace('-', "")
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut guid = hex.clone();
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    let mut path = vec![4, 1, 42, 0, 2, 0, 0, 0];
    path.extend([0; 16]);
    path.extend(guid);
    path.extend([2, 2]);
    let file = utf16(file);
    path.extend([4, 4, u8::try_from(file.len() + 4).unwrap(), 0]);
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut bytes = u32::from(active).to_le_bytes().to_vec();
    bytes.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
    bytes.extend(utf16("debian"));
    bytes.extend(path);
    bytes
}

fn entries() {
    let (directory, image) = copy();
    uefi(&image);
    let disk = Known::new(&image);
    let variables = Variables::new();
    let id = sh(&format!(
        "blkid -p -o value -s PART_ENTRY_UUID {}p2",
        disk.0
    ));
    let mut wrong = Vec::new();
    for (name, wanted, secure, script, kinds) in CASES {
        for (number, (file, active)) in wanted.iter().enumerate() {
            let bytes = entry(id.trim(), file, *active);
            Variables::set(&format!("Boot{number:04X}"), &bytes);
        }
        let order: Vec<u8> = (0..u8::try_from(wanted.len()).unwrap())
            .flat_map(|number| [number, 0])
            .collect();
        Variables::set("BootOrder", &order);
        Variables::set("SecureBoot", &[*secure]);
        let esp = format!("{}p2", disk.0);
        let point = disk::mount(Path::new(&esp), "rw");
        sh(&format!("cd {}; {script}", point.display()));
        disk::unmount(&point);
        let report = report(Path::new(&disk.0));
        let found = all(&report);
        if found != *kinds {
            wrong.push(format!("--- {name}: {found:?}\n{:#}", report["findings"]));
        }
    }
    // The root by a name that the kernel hands out anew at each boot.
    let point = disk::mount(Path::new(&format!("{}p3", disk.0)), "rw");
    sh(&format!(
        "sed -i 's,^UUID=[^ ]* / ,{}p3 / ,' {}/etc/fstab",
        disk.0,
        point.display()
    ));
    disk::unmount(&point);
    let text = report(Path::new(&disk.0))["findings"].to_string();
    if !text.contains("\"fstab-unreliable-name\"") {
        wrong.push(format!("--- a name of the kernel: {text}"));
    }
    drop((variables, disk, directory));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
