//! How a system boots: its kernels, the initramfs of each, the boot loader.

use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// More kernels than anyone keeps.
const MOST: usize = 64;

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The version in its file name; `linux`, `lts` where the name has none.
    pub version: String,
    /// The image.
    pub image: RootPath,
    /// Its initramfs, if there is one that is not empty.
    pub initramfs: Option<RootPath>,
    /// Whether its modules are there.
    pub modules: bool,
    /// A rescue or kdump image, not what the system is booted with day by day.
    pub rescue: bool,
}

/// A boot loader that left its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loader {
    /// GRUB 2
    Grub,
    /// systemd-boot
    SystemdBoot,
    /// extlinux or syslinux
    Syslinux,
    /// rEFInd
    Refind,
    /// Limine
    Limine,
    /// The firmware of a small board, or a kernel it starts itself.
    Board,
}

impl Loader {
    /// As people write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grub => "GRUB",
            Self::SystemdBoot => "systemd-boot",
            Self::Syslinux => "syslinux",
            Self::Refind => "rEFInd",
            Self::Limine => "Limine",
            Self::Board => "board firmware",
        }
    }
}

/// How firmware finds the loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// From an EFI system partition.
    Uefi,
    /// From the first sector of a disk.
    Bios,
}

/// What a root says about how it boots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Newest version last.
    pub kernels: Vec<Kernel>,
    /// Loaders with files in /boot or on the ESP.
    pub loaders: Vec<Loader>,
    /// GRUB's modules for UEFI are installed.
    pub grub_for_uefi: bool,
    /// GRUB's modules for BIOS are installed.
    pub grub_for_bios: bool,
    /// Unified kernel images on the ESP.
    pub unified: usize,
}

/// Looks at /boot, the ESP and the modules of a root.
#[must_use]
pub fn find(tree: &dyn Tree) -> Boot {
    let there = |path: &str| tree.lstat(&RootPath::new(path)).is_ok();
    let any = |paths: &[&str]| paths.iter().any(|path| there(path));
    let mut boot = Boot {
        kernels: kernels(tree),
        grub_for_uefi: any(&[
            "/boot/grub/x86_64-efi",
            "/boot/grub2/x86_64-efi",
            "/boot/grub/arm64-efi",
            "/boot/grub2/arm64-efi",
            "/boot/grub/i386-efi",
        ]),
        grub_for_bios: any(&["/boot/grub/i386-pc", "/boot/grub2/i386-pc"]),
        ..Boot::default()
    };
    let loaders: [(Loader, &[&str]); 6] = [
        (
            Loader::Grub,
            &[
                "/boot/grub/grub.cfg",
                "/boot/grub2/grub.cfg",
                "/boot/grub/i386-pc",
            ],
        ),
        (
            Loader::SystemdBoot,
            &[
                "/boot/EFI/systemd",
                "/efi/EFI/systemd",
                "/boot/efi/EFI/systemd",
                "/boot/loader/loader.conf",
                "/efi/loader/loader.conf",
                "/boot/efi/loader/loader.conf",
            ],
        ),
        (
            Loader::Syslinux,
            &["/boot/extlinux.conf", "/boot/extlinux", "/boot/syslinux"],
        ),
        (
            Loader::Refind,
            &[
                "/boot/EFI/refind",
                "/efi/EFI/refind",
                "/boot/efi/EFI/refind",
            ],
        ),
        (
            Loader::Limine,
            &["/boot/limine.conf", "/boot/limine", "/boot/EFI/limine"],
        ),
        (
            Loader::Board,
            &[
                "/boot/config.txt",
                "/boot/firmware/config.txt",
                "/boot/boot.scr",
            ],
        ),
    ];
    for (loader, paths) in loaders {
        if any(paths) {
            boot.loaders.push(loader);
        }
    }
    for place in ["/boot/EFI/Linux", "/efi/EFI/Linux", "/boot/efi/EFI/Linux"] {
        let names = tree.list(&RootPath::new(place)).unwrap_or_default();
        boot.unified += names
            .iter()
            .filter(|name| name.to_string_lossy().to_lowercase().ends_with(".efi"))
            .count();
    }
    boot
}

impl Boot {
    /// Kernels that lack the initramfs which this system's other kernels, or its distribution,
    /// say is needed.
    #[must_use]
    pub fn without_initramfs(&self, distribution_uses_them: bool) -> Vec<&Kernel> {
        let usual = distribution_uses_them
            || self
                .kernels
                .iter()
                .any(|kernel| !kernel.rescue && kernel.initramfs.is_some());
        self.kernels
            .iter()
            .filter(|kernel| usual && kernel.initramfs.is_none())
            .collect()
    }
}

fn kernels(tree: &dyn Tree) -> Vec<Kernel> {
    const PREFIXES: &[&str] = &["vmlinuz-", "vmlinux-", "kernel-", "bzImage-", "Image-"];
    let boot = RootPath::new("/boot");
    let names = tree.list(&boot).unwrap_or_default();
    let mut found: Vec<Kernel> = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter_map(|name| {
            let version = PREFIXES
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))?;
            let useful = !version.is_empty()
                && ![".hmac", ".old", ".sig", ".gz.hmac"]
                    .iter()
                    .any(|end| version.ends_with(end));
            useful.then(|| kernel(tree, version, boot.join(name), &names))
        })
        .filter(|kernel| is_plain_file(tree, &kernel.image))
        .take(MOST)
        .collect();
    found.extend(entry_kernels(tree));
    found.sort_by_key(|kernel| natural(&kernel.version));
    found.dedup_by(|a, b| a.version == b.version);
    found
}

fn kernel(tree: &dyn Tree, version: &str, image: RootPath, names: &[std::ffi::OsString]) -> Kernel {
    let candidates = [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
        format!("initramfs-{version}"),
        format!("initrd-{version}.img"),
        format!("booster-{version}.img"),
        format!("initramfs-{version}-fallback.img"),
        format!("initramfs-genkernel-{version}"),
    ];
    let initramfs = candidates
        .iter()
        .filter(|name| names.iter().any(|there| there == name.as_str()))
        .map(|name| RootPath::new("/boot").join(name))
        .find(|path| is_plain_file(tree, path));
    Kernel {
        version: version.to_string(),
        image,
        initramfs,
        modules: has_modules(tree, version),
        rescue: version.contains("rescue") || version.contains("kdump"),
    }
}

/// kernel-install's layout: /boot/MACHINE-ID/VERSION/linux, or the same on the ESP.
fn entry_kernels(tree: &dyn Tree) -> Vec<Kernel> {
    let mut found = Vec::new();
    for base in ["/boot", "/efi", "/boot/efi"] {
        let base = RootPath::new(base);
        for machine in tree.list(&base).unwrap_or_default() {
            let is_id = machine.len() == 32 && machine.to_str().is_some_and(is_hex);
            if !is_id {
                continue;
            }
            let versions = tree.list(&base.join(&machine)).unwrap_or_default();
            for version in versions
                .iter()
                .filter_map(|version| version.to_str())
                .take(MOST)
            {
                let place = base.join(&machine).join(version);
                let image = place.join("linux");
                if !is_plain_file(tree, &image) {
                    continue;
                }
                found.push(Kernel {
                    version: version.to_string(),
                    image,
                    initramfs: Some(place.join("initrd")).filter(|at| is_plain_file(tree, at)),
                    modules: has_modules(tree, version),
                    rescue: version.contains("rescue"),
                });
            }
        }
    }
    found
}

fn has_modules(tree: &dyn Tree, version: &str) -> bool {
    let there = |base: &str| tree.stat(&RootPath::new(base).join(version)).is_ok();
    there("/lib/modules") || there("/usr/lib/modules")
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A file with something in it: a full /boot leaves an initramfs of 0 bytes.
fn is_plain_file(tree: &dyn Tree, path: &RootPath) -> bool {
    tree.stat(path)
        .is_ok_and(|meta| meta.kind == Kind::File && meta.size > 0)
}

/// Numbers count as numbers: 6.1.0-9 comes before 6.1.0-40.
fn natural(version: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = version;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest[..digits].parse().unwrap_or(0);
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        parts.push((number, rest[..end].to_string()));
        rest = &rest[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn each_kernel_is_found_with_its_initramfs() {
        let tree = Mem::new()
            .with_file("/boot/vmlinuz-6.1.0-9-amd64", "k")
            .with_file("/boot/initrd.img-6.1.0-9-amd64", "i")
            .with_file("/boot/vmlinuz-6.1.0-40-amd64", "k")
            .with_file("/boot/initrd.img-6.1.0-40-amd64", "")
            .with_file("/boot/.vmlinuz-6.1.hmac", "x")
            .with_file("/boot/grub/grub.cfg", "")
            .with_dir("/boot/grub/x86_64-efi")
            .with_dir("/usr/lib/modules/6.1.0-9-amd64");
        let boot = find(&tree);
        let versions: Vec<&str> = boot.kernels.iter().map(|k| k.version.as_str()).collect();
        assert_eq!(versions, ["6.1.0-9-amd64", "6.1.0-40-amd64"]);
        assert!(boot.kernels[0].modules && !boot.kernels[1].modules);
        let missing = boot.without_initramfs(false);
        assert_eq!(missing.len(), 1, "an empty initramfs is none");
        assert_eq!(missing[0].version, "6.1.0-40-amd64");
        assert_eq!(boot.loaders, [Loader::Grub]);
        assert!(boot.grub_for_uefi && !boot.grub_for_bios);
    }

    #[test]
    fn other_layouts() {
        let id = "0123456789abcdef0123456789abcdef";
        let tree = Mem::new()
            .with_file("/boot/vmlinuz-linux", "k")
            .with_file("/boot/initramfs-linux.img", "i")
            .with_file("/boot/vmlinuz-lts", "k")
            .with_file("/boot/initramfs-lts", "i")
            .with_file(&format!("/efi/{id}/6.17/linux"), "k")
            .with_file(&format!("/efi/{id}/6.17/initrd"), "i")
            .with_file("/efi/EFI/Linux/arch.EFI", "u")
            .with_special("/boot/vmlinuz-fifo", Kind::Fifo);
        let boot = find(&tree);
        assert_eq!(boot.kernels.len(), 3);
        assert!(boot.without_initramfs(true).is_empty());
        assert_eq!(boot.unified, 1);
    }

    #[test]
    fn a_system_that_needs_no_initramfs_is_not_blamed() {
        let boot = find(&Mem::new().with_file("/boot/vmlinuz-6.6", "k"));
        assert!(boot.without_initramfs(false).is_empty());
        assert_eq!(boot.without_initramfs(true).len(), 1);
    }
}
