//! Boot loaders' configuration, the ESP, the firmware's variables, kernels and initramfs images:
//! every reader ends, and gives no more entries than there are lines.

use newroot::model::RootPath;
use newroot::probe::boot;
use newroot::probe::health::boot::{config, firmware, image, look};
use newroot::root::Mem;

use super::named;

const PATHS: &[&str] = &[
    "/boot/grub/grub.cfg",
    "/boot/loader/entries/a.conf",
    "/boot/loader/loader.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/efi/EFI/debian/grub.cfg",
    "/boot/efi/EFI/debian/grubx64.efi",
    "/boot/vmlinuz-6.1.0",
    "/boot/initrd.img-6.1.0",
    "/sys/firmware/efi/efivars/Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "/sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c",
];

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let order = PATHS[9];
    let tree = Mem::new()
        .with_file("/boot/vmlinuz-6.1.0", "x")
        .with_file(order, [7, 0, 0, 0, 0, 0]);
    let tree = named::lay(tree, PATHS, data);
    let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
    for config in config::find(&tree) {
        assert!(config.entries.len() <= lines && config.searches.len() <= lines);
    }
    let kernels = boot::find(&tree);
    let _facts = look(&tree, &kernels);
    let initramfs = RootPath::new("/boot/initrd.img-6.1.0");
    let _image = image::initramfs(&tree, &initramfs);
    if let Some(nvram) = firmware::nvram(&tree) {
        assert!(nvram.entries.len() <= data.len().max(2));
    }
}
