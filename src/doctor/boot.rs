//! Kernels, their initramfs, their modules.

use super::fixes;
use super::{Facts, Family, Finding, Kind, list};
use crate::probe::health::boot::{KernelFile, Modules};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if !facts.boots() {
        return found;
    }
    let boot = &facts.health.boot;
    if boot.kernels.is_empty() && facts.system.boot.unified == 0 {
        found.extend(no_kernel(facts));
    }
    for kernel in &boot.kernels {
        found.extend(image(facts, kernel));
        if kernel.bad.is_none() {
            found.extend(initramfs(facts, kernel));
            found.extend(modules(facts, kernel));
        }
    }
    if !boot.alone.is_empty() && !boot.kernels.is_empty() {
        let names = boot.alone.iter().map(ToString::to_string);
        found.push(
            Finding::note(
                Kind::InitramfsAlone,
                "there is an initramfs without its kernel. It takes room and does nothing.",
            )
            .seen(list(names, boot.alone.len())),
        );
    }
    found
}

/// /boot on a filesystem that was not looked into says nothing about kernels.
fn boot_is_unseen(facts: &Facts<'_>) -> bool {
    let unseen = facts
        .system
        .unseen
        .iter()
        .any(|(path, _)| path.to_string().starts_with("/boot"));
    let separate = facts.system.facts.fstab.at("/boot").is_some();
    unseen || separate && facts.health.boot.boot_empty
}

fn no_kernel(facts: &Facts<'_>) -> Option<Finding> {
    if boot_is_unseen(facts) || facts.family() == Family::NixOs {
        return None;
    }
    let version = facts
        .health
        .layout
        .modules
        .last()
        .cloned()
        .unwrap_or_default();
    let mut finding = Finding::error(
        Kind::KernelMissing,
        "there is no kernel in /boot. It will not boot.",
    )
    .screen("error: file `/boot/vmlinuz-...' not found")
    .file(format!("/boot/vmlinuz-{version}"))
    .fix(fixes::kernel(facts.family(), &version));
    if !version.is_empty() {
        let all = &facts.health.layout.modules;
        finding = finding.seen(format!(
            "no /boot/vmlinuz-*, but modules of {}",
            list(all.iter().take(4).cloned(), all.len())
        ));
    } else {
        finding = finding.seen("no /boot/vmlinuz-*, and no modules");
    }
    Some(finding)
}

fn image(facts: &Facts<'_>, kernel: &KernelFile) -> Option<Finding> {
    let why = kernel.bad.as_ref()?;
    let finding = Finding::error(
        Kind::KernelDamaged,
        format!(
            "the kernel {} is damaged. It does not start.",
            kernel.version
        ),
    );
    Some(
        finding
            .seen(format!("{}: {why}", kernel.path))
            .file(&kernel.path)
            .screen("error: invalid magic number")
            .fix(fixes::kernel(facts.family(), &kernel.version)),
    )
}

/// What starts this kernel when nobody chooses, as a line to show.
fn started_by(facts: &Facts<'_>, kernel: &KernelFile) -> Option<String> {
    let name = kernel.path.file_name()?.to_str()?;
    facts.health.boot.configs.iter().find_map(|config| {
        let entry = config.entries.iter().find(|entry| {
            let named = entry
                .kernel
                .as_deref()
                .and_then(|path| path.rsplit('/').next());
            entry.default && named == Some(name)
        })?;
        Some(format!(
            "{}:{} starts this kernel by default",
            config.path, entry.line
        ))
    })
}

fn initramfs(facts: &Facts<'_>, kernel: &KernelFile) -> Option<Finding> {
    const SCREEN: &str =
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    let fix = fixes::initramfs(facts.family(), &kernel.version);
    match &kernel.initramfs {
        Some((_, None)) => None,
        Some((path, Some(why))) => {
            let what = format!(
                "the initramfs of kernel {} is damaged. It will not boot.",
                kernel.version
            );
            let mut finding = Finding::error(Kind::InitramfsDamaged, what)
                .seen(format!("{path}: {why}"))
                .screen("Initramfs unpacking failed; then: VFS: Unable to mount root fs")
                .fix(fix);
            finding.seen.extend(started_by(facts, kernel));
            Some(finding)
        }
        None => {
            let boot = &facts.system.boot;
            let usual = boot
                .without_initramfs(facts.system.uses_initramfs())
                .iter()
                .any(|it| it.version == kernel.version);
            if !usual || kernel.rescue || facts.family() == Family::NixOs {
                return None;
            }
            let what = format!(
                "kernel {} has no initramfs. It will not boot.",
                kernel.version
            );
            let seen = match &kernel.empty_initramfs {
                Some(path) => format!("{}, but {path} is empty", kernel.path),
                None => format!("{}, but no initramfs of this version in /boot", kernel.path),
            };
            let mut finding = Finding::error(Kind::InitramfsMissing, what)
                .seen(seen)
                .screen(SCREEN)
                .fix(fix);
            finding.seen.extend(started_by(facts, kernel));
            Some(finding)
        }
    }
}

fn modules(facts: &Facts<'_>, kernel: &KernelFile) -> Option<Finding> {
    let why = match kernel.modules {
        Modules::Good | Modules::Unnamed => return None,
        Modules::Missing => "is missing",
        Modules::NoIndex => "has no modules.dep",
    };
    // A kernel with everything built in has no modules; where others have them, it is no such.
    if kernel.rescue || facts.health.layout.modules.is_empty() && !facts.system.uses_initramfs() {
        return None;
    }
    let family = facts.family();
    let fix = match kernel.modules {
        Modules::NoIndex => {
            fixes::Fix::default().inside(format!("depmod -a {}", fixes::word(&kernel.version)))
        }
        _ => fixes::kernel(family, &kernel.version),
    };
    let what = format!(
        "the modules of kernel {} are missing. Network, sound and most filesystems will not work.",
        kernel.version
    );
    Some(
        Finding::error(Kind::ModulesMissing, what)
            .seen(format!("/lib/modules/{} {why}", kernel.version))
            .file(format!("/lib/modules/{}", kernel.version))
            .file(format!("/usr/lib/modules/{}", kernel.version))
            .screen("modprobe: FATAL: Module ... not found in directory /lib/modules/...")
            .fix(fix),
    )
}
