//! `newroot scan` on images of disks: what it finds, and that every bit stays as it was.

mod btrfs;
mod disks;
pub(crate) mod layers;
mod layout;
mod odd;
mod unlock;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::disk::{before, filesystem, filled, sh};
use crate::run::newroot;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    [
        disks::trials(),
        btrfs::trials(),
        layout::trials(),
        layers::trials(),
        odd::trials(),
        unlock::trials(),
    ]
    .concat()
}

/// Scans these; checks that no bit of them changes.
fn scan(images: &[&Path]) -> Value {
    let copies: Vec<PathBuf> = images.iter().map(|image| before(image)).collect();
    let mut arguments = vec![OsStr::new("scan"), OsStr::new("--json")];
    arguments.extend(images.iter().map(|image| image.as_os_str()));
    let output = newroot(&arguments).run();
    output.code(0);
    output.stderr_is("");
    for (image, copy) in images.iter().zip(&copies) {
        sh(&format!("sync; cmp {} {}", image.display(), copy.display()));
        fs::remove_file(copy).unwrap();
    }
    serde_json::from_str(&output.stdout).unwrap()
}

/// The same for a device that may be written to: an image's own devices refuse writes, so only
/// here it shows whether a driver was kept from replaying a journal or clearing orphans.
fn scan_device(image: &Path) -> Value {
    let copy = image.with_extension("before");
    sh(&format!(
        "cp --sparse=always {} {}",
        image.display(),
        copy.display()
    ));
    let device = sh(&format!("losetup --find --show {}", image.display()));
    let device = device.trim();
    assert_eq!(sh(&format!("blockdev --getro {device}")), "0\n");
    let output = newroot(["scan", "--json", device]).run();
    output.code(0).stderr_is("");
    sh(&format!(
        "blockdev --flushbufs {device}; losetup -d {device}; cmp {} {}",
        image.display(),
        copy.display()
    ));
    serde_json::from_str(&output.stdout).unwrap()
}

fn only_system(found: &Value) -> &Value {
    let systems = found["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 1, "{found:#}");
    &systems[0]
}

fn ext4(path: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let image = filesystem(path, 32, "mkfs.ext4 -q");
    filled(&image, fill);
    image
}

fn wtmp(when: u32) -> Vec<u8> {
    let mut record = vec![0; 384];
    record[0] = 2;
    record[44..50].copy_from_slice(b"reboot");
    record[340..344].copy_from_slice(&when.to_le_bytes());
    record
}
