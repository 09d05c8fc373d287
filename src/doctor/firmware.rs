//! Boot loaders: whether they are where the firmware looks, in boot sectors and on the ESP.

use super::fixes::{self, Fix};
use super::loaders::{exists, is_own};
use super::{Facts, Finding, Kind, list};
use crate::probe::boot::{Firmware, Loader};

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    if !facts.boots() {
        return Vec::new();
    }
    let mut found = stubs(facts);
    found.extend(grub_modules(facts));
    found.extend(bios(facts));
    found.extend(uefi(facts));
    found
}

/// The small grub.cfg on the ESP that looks for the big one.
fn stubs(facts: &Facts<'_>) -> Vec<Finding> {
    let on_volume = facts.disks.esp.iter();
    let all = on_volume.chain(std::iter::once(&facts.health.boot.firmware));
    let id = facts.system.facts.os.id.as_str();
    let mut found: Vec<Finding> = Vec::new();
    for (path, line, uuid) in all.flat_map(|esp| &esp.stubs) {
        let ours = path.to_lowercase().contains(&format!("/{id}/"));
        let wrong = exists(facts, uuid).map_or_else(|| !is_own(facts, uuid), |there| !there);
        if ours && wrong && found.is_empty() {
            found.push(
                Finding::error(Kind::LoaderConfigDevice, format!("{path} on the ESP looks for the filesystem {uuid}, which is not this system's. It will not boot."))
                    .seen(format!("{path}:{line} on the ESP"))
                    .screen("grub>")
                    .fix(fixes::grub_uefi(facts.family(), id, esp_mount(facts))),
            );
        }
    }
    found
}

fn esp_mount(facts: &Facts<'_>) -> &'static str {
    let fstab = &facts.system.facts.fstab;
    ["/boot/efi", "/efi", "/boot"]
        .into_iter()
        .find(|path| fstab.at(path).is_some_and(|it| it.fs_type == "vfat"))
        .unwrap_or("/boot/efi")
}

fn disk(facts: &Facts<'_>) -> String {
    facts
        .disks
        .sectors
        .first()
        .map_or_else(|| "/dev/DISK".to_string(), |it| format!("/dev/{}", it.disk))
}

fn grub_modules(facts: &Facts<'_>) -> Option<Finding> {
    let path = facts.health.boot.grub_modules_missing.as_ref()?;
    Some(
        Finding::error(
            Kind::LoaderDamaged,
            "GRUB's own modules are missing. It does not get as far as its menu.",
        )
        .seen(format!("{path} is missing or empty"))
        .screen(format!(
            "error: file `{path}' not found. Entering rescue mode... grub rescue>"
        ))
        .fix(fixes::grub_bios(facts.family(), &disk(facts))),
    )
}

/// GRUB for BIOS is installed in /boot; it must be in the first sectors of a disk as well.
fn bios(facts: &Facts<'_>) -> Option<Finding> {
    let boot = &facts.system.boot;
    let sectors = &facts.disks.sectors;
    let only_bios = boot.grub_for_bios && !facts.system.firmware.contains(&Firmware::Uefi);
    if !only_bios || sectors.is_empty() {
        return None;
    }
    let names = || list(sectors.iter().map(|it| it.disk.clone()), sectors.len());
    let fix = fixes::grub_bios(facts.family(), &disk(facts));
    if sectors.iter().any(|it| it.grub && it.core) {
        return None;
    }
    if let Some(it) = sectors.iter().find(|it| it.grub) {
        return Some(
            Finding::error(
                Kind::LoaderDamaged,
                "GRUB's core image is damaged. The firmware starts GRUB, and GRUB stops.",
            )
            .seen(format!(
                "{}: GRUB's boot code loads sector {}, where GRUB is not",
                it.disk,
                it.core_at.unwrap_or(0)
            ))
            .screen("GRUB, a dot or an error, and nothing more")
            .fix(fix),
        );
    }
    if sectors.iter().any(|it| it.any_code) {
        return Some(
            Finding::warning(
                Kind::LoaderMissingBoot,
                "the disk is started by another boot loader than GRUB.",
            )
            .seen(format!(
                "the first sector of {} holds boot code, and not GRUB's",
                names()
            ))
            .fix(fix),
        );
    }
    Some(
        Finding::error(
            Kind::LoaderMissingBoot,
            "no boot loader is on the disk. The firmware finds nothing to start.",
        )
        .seen(format!(
            "the first sector of {} holds no boot code",
            names()
        ))
        .screen("No bootable device; or: Missing operating system")
        .fix(fix),
    )
}

fn uefi(facts: &Facts<'_>) -> Vec<Finding> {
    let boot = &facts.system.boot;
    let by_uefi = facts.system.firmware.contains(&Firmware::Uefi)
        || boot.loaders.contains(&Loader::SystemdBoot);
    let esp = match (&facts.disks.esp, &facts.health.boot.firmware) {
        (Some(esp), _) => Some(esp),
        (None, seen) if seen.esp.is_some() => Some(seen),
        _ => None,
    };
    let fstab = &facts.system.facts.fstab;
    let wants_esp = ["/boot/efi", "/efi"]
        .iter()
        .any(|path| fstab.at(path).is_some());
    let only_uefi = by_uefi && !boot.grub_for_bios;
    let mut found = Vec::new();
    let fix = || match boot.loaders.contains(&Loader::SystemdBoot)
        && !boot.loaders.contains(&Loader::Grub)
    {
        true => fixes::systemd_boot(),
        false => fixes::grub_uefi(facts.family(), &facts.system.facts.os.id, esp_mount(facts)),
    };
    let Some(esp) = esp else {
        // Not mounted: a directory says nothing about what would be there.
        return found;
    };
    let programs: Vec<_> = esp.programs.iter().filter(|it| it.whole).collect();
    if programs.is_empty() && (only_uefi || wants_esp && facts.system.firmware == [Firmware::Uefi])
    {
        let broken = esp.programs.iter().map(|it| it.path.clone());
        let seen = match esp.programs.len() {
            0 => format!(
                "{} holds no EFI program",
                esp.esp.clone().unwrap_or_default()
            ),
            all => format!("not EFI programs: {}", list(broken, all)),
        };
        found.push(
            Finding::error(
                Kind::LoaderMissingBoot,
                "no boot loader is on the ESP. The firmware finds nothing to start.",
            )
            .seen(seen)
            .screen("BdsDxe: No bootable option or device was found; or the firmware's own menu")
            .fix(fix()),
        );
        return found;
    }
    for bad in esp.programs.iter().filter(|it| !it.whole).take(2) {
        found.push(
            Finding::warning(
                Kind::LoaderDamaged,
                format!("{} on the ESP is no EFI program.", bad.path),
            )
            .seen(format!("{} does not begin like one", bad.path))
            .fix(fix()),
        );
    }
    found.extend(nvram(facts, fix()));
    found
}

fn nvram(facts: &Facts<'_>, fix: Fix) -> Vec<Finding> {
    let (Some(nvram), Some(esp), Some(partition)) = (
        &facts.disks.nvram,
        &facts.disks.esp,
        &facts.disks.esp_partition,
    ) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let there = |file: &str| {
        esp.programs
            .iter()
            .any(|it| it.path.eq_ignore_ascii_case(file))
    };
    let ours: Vec<_> = nvram
        .entries
        .iter()
        .filter(|entry| entry.partition.as_ref() == Some(partition))
        .collect();
    let good = ours
        .iter()
        .any(|entry| entry.active && entry.file.as_deref().is_some_and(there));
    let fallback = esp
        .programs
        .iter()
        .any(|it| it.path.to_lowercase().contains("/efi/boot/boot"));
    if !good && !fallback {
        found.push(
            Finding::error(
                Kind::FirmwareEntry,
                "the firmware has no boot entry for this system.",
            )
            .seen(format!(
                "{} boot entries, none of them for a program on this ESP; no fallback in /EFI/BOOT",
                nvram.entries.len()
            ))
            .screen("the firmware's own menu, or another system")
            .fix(fix),
        );
    } else if let Some(entry) = ours
        .iter()
        .find(|entry| entry.file.as_deref().is_some_and(|file| !there(file)))
    {
        let file = entry.file.clone().unwrap_or_default();
        found.push(
            Finding::note(
                Kind::FirmwareEntry,
                format!(
                    "the firmware's boot entry \"{}\" names {file}, which is not there.",
                    entry.label
                ),
            )
            .seen(format!("Boot{:04X}", entry.number)),
        );
    }
    let unsigned: Vec<_> = esp
        .programs
        .iter()
        .filter(|it| {
            it.whole
                && !it.signed
                && ours.iter().any(|entry| {
                    entry
                        .file
                        .as_deref()
                        .is_some_and(|file| file.eq_ignore_ascii_case(&it.path))
                })
        })
        .collect();
    if nvram.secure_boot
        && let Some(program) = unsigned.first()
    {
        found.push(
            Finding::warning(
                Kind::SecureBoot,
                format!(
                    "Secure Boot is on, and {} has no signature. The firmware refuses it.",
                    program.path
                ),
            )
            .seen("SecureBoot is 1; the program has no certificate table")
            .screen("Security Violation; or: Access denied"),
        );
    }
    found
}
