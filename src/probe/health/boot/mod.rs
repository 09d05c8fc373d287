//! What a system boots with: its kernels and initramfs images as files, what the boot loaders'
//! configuration names, and what firmware finds.

pub mod config;
pub mod entries;
pub mod firmware;
pub mod grubcfg;
pub mod image;
pub mod loaders;

use super::super::boot::Boot;
use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};
use config::Config;
use image::Image;

/// One kernel, looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFile {
    /// Its version.
    pub version: String,
    /// The image.
    pub path: RootPath,
    /// What is wrong with it as a kernel; `None` where nothing is.
    pub bad: Option<String>,
    /// Its initramfs and what is wrong with that.
    pub initramfs: Option<(RootPath, Option<String>)>,
    /// An initramfs that is there and empty.
    pub empty_initramfs: Option<RootPath>,
    /// What is wrong with its modules.
    pub modules: Modules,
    /// A rescue or kdump kernel.
    pub rescue: bool,
}

/// The modules of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modules {
    /// modules.dep is there.
    Good,
    /// The directory is missing.
    Missing,
    /// The directory is there, modules.dep is missing or empty.
    NoIndex,
    /// Which directory is meant cannot be known: the image's name has no version.
    Unnamed,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootFacts {
    /// Newest last.
    pub kernels: Vec<KernelFile>,
    /// initramfs images in /boot whose kernel is not there.
    pub alone: Vec<RootPath>,
    /// What the boot loaders are told.
    pub configs: Vec<Config>,
    /// GRUB's modules are there, for BIOS or UEFI, but this one is not: `normal.mod`.
    pub grub_modules_missing: Option<RootPath>,
    /// Boot loader programs on an ESP, and what firmware remembers.
    pub firmware: firmware::FirmwareFacts,
    /// /boot holds nothing at all.
    pub boot_empty: bool,
}

/// Looks at everything below /boot and the ESP's usual mount points.
#[must_use]
pub fn look(tree: &dyn Tree, boot: &Boot) -> BootFacts {
    let kernels = boot.kernels.iter().map(|kernel| {
        let versioned = kernel.version.starts_with(|c: char| c.is_ascii_digit());
        KernelFile {
            version: kernel.version.clone(),
            path: kernel.image.clone(),
            bad: image::kernel(tree, &kernel.image).err(),
            initramfs: kernel.initramfs.clone().map(|path| {
                let bad = match image::initramfs(tree, &path) {
                    Image::Whole(_) | Image::Unknown => None,
                    Image::Bad(why) => Some(why),
                };
                (path, bad)
            }),
            empty_initramfs: empty_initramfs(tree, &kernel.version),
            modules: if versioned {
                modules(tree, &kernel.version)
            } else {
                Modules::Unnamed
            },
            rescue: kernel.rescue,
        }
    });
    let names = tree.list(&RootPath::new("/boot"));
    BootFacts {
        kernels: kernels.collect(),
        alone: alone(tree, boot),
        configs: config::find(tree),
        grub_modules_missing: grub_modules(tree),
        firmware: firmware::on_esp(tree),
        boot_empty: names.is_ok_and(|names| {
            names
                .iter()
                .all(|name| name == "lost+found" || name == "efi")
        }),
    }
}

fn modules(tree: &dyn Tree, version: &str) -> Modules {
    let mut there = false;
    for base in ["/lib/modules", "/usr/lib/modules"] {
        let directory = RootPath::new(base).join(version);
        there |= tree.stat(&directory).is_ok();
        let index = tree.stat(&directory.join("modules.dep"));
        if index.is_ok_and(|meta| meta.kind == Kind::File && meta.size > 0) {
            return Modules::Good;
        }
    }
    if there {
        Modules::NoIndex
    } else {
        Modules::Missing
    }
}

fn empty_initramfs(tree: &dyn Tree, version: &str) -> Option<RootPath> {
    [
        format!("initrd.img-{version}"),
        format!("initramfs-{version}.img"),
        format!("initrd-{version}"),
        format!("initramfs-{version}"),
    ]
    .iter()
    .map(|name| RootPath::new("/boot").join(name))
    .find(|path| {
        tree.stat(path)
            .is_ok_and(|meta| meta.kind == Kind::File && meta.size == 0)
    })
}

/// initramfs images with no kernel of their version.
fn alone(tree: &dyn Tree, boot: &Boot) -> Vec<RootPath> {
    let names = tree.list(&RootPath::new("/boot")).unwrap_or_default();
    let mut found = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str()) {
        let version = ["initrd.img-", "initramfs-", "initrd-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix));
        let Some(version) = version.map(|version| version.trim_end_matches(".img")) else {
            continue;
        };
        let version = version
            .trim_end_matches("-fallback")
            .trim_end_matches("kdump");
        let has_kernel = boot.kernels.iter().any(|kernel| {
            kernel.version == version || kernel.version == version.trim_start_matches("genkernel-")
        });
        let odd = ["plymouth", ".old", ".bak", ".new", ".dpkg-bak", "rescue"]
            .iter()
            .any(|word| name.contains(word));
        if !has_kernel && !odd && found.len() < 16 {
            found.push(RootPath::new("/boot").join(name));
        }
    }
    found
}

/// GRUB says `file '/boot/grub/i386-pc/normal.mod' not found` and stops at `grub rescue>`.
fn grub_modules(tree: &dyn Tree) -> Option<RootPath> {
    for base in ["/boot/grub", "/boot/grub2"] {
        let platform = RootPath::new(base).join("i386-pc");
        let there = tree
            .stat(&platform)
            .is_ok_and(|meta| meta.kind == Kind::Directory);
        let normal = platform.join("normal.mod");
        let whole = |path: &RootPath| {
            root::is_file(tree, path) && tree.stat(path).is_ok_and(|meta| meta.size > 0)
        };
        if there && !whole(&normal) {
            return Some(normal);
        }
    }
    None
}
