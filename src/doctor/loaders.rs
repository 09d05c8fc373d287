//! Boot loaders: what their configuration names.

use super::fixes::{self, Fix};
use super::{Facts, Family, Finding, Kind, list};
use crate::probe::boot::Loader;
use crate::probe::fstab::Spec;
use crate::probe::health::boot::config::{Config, Entry, Format};
use crate::probe::inventory::Found;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    if !facts.boots() {
        return Vec::new();
    }
    let mut found: Vec<Finding> = facts
        .health
        .boot
        .configs
        .iter()
        .flat_map(|it| config(facts, it))
        .collect();
    found.extend(no_config(facts));
    found.extend(stale(facts));
    found
}

/// UUIDs of the filesystems that this system boots from, lower case, and where each comes from.
fn own_uuids(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for mount_point in ["/", "/boot", "/boot/efi", "/efi"] {
        if let Some(entry) = facts.system.facts.fstab.at(mount_point)
            && let Spec::Uuid(uuid) = &entry.spec
        {
            found.push((
                uuid.to_ascii_lowercase(),
                format!("/etc/fstab:{}", entry.line),
            ));
        }
    }
    if !facts.system.fs_uuid.is_empty() {
        found.push((
            facts.system.fs_uuid.to_ascii_lowercase(),
            "its own filesystem".into(),
        ));
    }
    for want in &facts.system.wants {
        if let Found::Here(index) | Found::Unreliable(Some(index)) = want.found
            && let Some(volume) = facts.inventory.volumes.get(index)
        {
            found.push((
                volume.superblock.uuid.to_ascii_lowercase(),
                volume.name.clone(),
            ));
        }
    }
    found
}

/// Whether any device of this machine has the UUID; `None` where devices are not known.
pub(super) fn exists(facts: &Facts<'_>, uuid: &str) -> Option<bool> {
    facts.disks.known.then(|| {
        facts
            .inventory
            .volumes
            .iter()
            .any(|volume| volume.superblock.uuid.eq_ignore_ascii_case(uuid))
    })
}

pub(super) fn is_own(facts: &Facts<'_>, uuid: &str) -> bool {
    let own = own_uuids(facts);
    // Nothing is known to compare with.
    own.is_empty()
        || own
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(uuid))
}

/// An entry for another system (os-prober writes those) is not this one's business.
fn is_foreign(facts: &Facts<'_>, entry: &Entry) -> bool {
    let by_title = entry.title.contains(" (on /dev/");
    let by_disk = entry
        .search
        .as_ref()
        .is_some_and(|(_, uuid)| !is_own(facts, uuid) && exists(facts, uuid) == Some(true));
    by_title || by_disk
}

fn fix(facts: &Facts<'_>, config: &Config) -> Fix {
    match config.format {
        Format::Grub => fixes::boot_config(facts.family()),
        Format::Bls => match facts.family() {
            Family::Fedora => Fix::task(fixes::Task::Bootloader).inside("kernel-install add-all"),
            Family::NixOs => fixes::boot_config(Family::NixOs),
            _ => Fix::task(fixes::Task::Bootloader)
                .inside("kernel-install add-all")
                .or("kernel-install(8) writes the entries anew"),
        },
        Format::Syslinux => Fix::task(fixes::Task::Bootloader)
            .inside("update-extlinux")
            .or("or correct the file by hand"),
    }
}

fn config(facts: &Facts<'_>, config: &Config) -> Vec<Finding> {
    if let Some(why) = &config.broken {
        return vec![
            Finding::error(
                Kind::LoaderConfigBroken,
                format!(
                    "{} is damaged. The boot menu does not come up.",
                    config.path
                ),
            )
            .seen(format!("{}: {why}", config.path))
            .screen("grub> or grub rescue>, instead of a menu")
            .fix(fix(facts, config)),
        ];
    }
    let own: Vec<&Entry> = config
        .entries
        .iter()
        .filter(|entry| !is_foreign(facts, entry))
        .collect();
    let mut found = Vec::new();
    found.extend(missing_files(facts, config, &own));
    found.extend(wrong_devices(facts, config, &own));
    found
}

fn missing_files(facts: &Facts<'_>, config: &Config, entries: &[&Entry]) -> Option<Finding> {
    // A /boot that was not looked into has no files at all.
    let unseen = facts
        .system
        .unseen
        .iter()
        .any(|(path, _)| path.to_string().starts_with("/boot"));
    let bad: Vec<&&Entry> = entries
        .iter()
        .filter(|entry| !entry.missing.is_empty())
        .collect();
    let first = bad
        .iter()
        .find(|entry| entry.default)
        .or_else(|| bad.first())?;
    if unseen {
        return None;
    }
    let file = first.missing.first()?;
    let starts_nothing = bad.len() == entries.len() || first.default;
    let what = if starts_nothing {
        format!(
            "{} starts {file}, which is not there. It will not boot.",
            config.path
        )
    } else {
        format!(
            "{} has an entry for {file}, which is not there.",
            config.path
        )
    };
    let severity = if starts_nothing {
        super::Severity::Error
    } else {
        super::Severity::Warning
    };
    let mut finding = Finding::new(severity, Kind::LoaderConfigFile, what)
        .screen(format!("error: file `{file}' not found."))
        .fix(fix(facts, config));
    for entry in bad.iter().take(4) {
        let names = list(entry.missing.iter().take(3).cloned(), entry.missing.len());
        finding = finding.seen(format!(
            "{}:{} \"{}\": {names}",
            config.path, entry.line, entry.title
        ));
    }
    Some(finding)
}

fn wrong_devices(facts: &Facts<'_>, config: &Config, entries: &[&Entry]) -> Option<Finding> {
    let mut bad: Vec<(usize, String, String)> = Vec::new();
    let own = own_uuids(facts);
    let known = own.iter().any(|(_, from)| from.starts_with("/etc/fstab"));
    let wrong = |uuid: &str| match exists(facts, uuid) {
        Some(there) => !there,
        None => known && !is_own(facts, uuid),
    };
    for entry in entries {
        if let Some((line, uuid)) = entry.search.as_ref().filter(|(_, uuid)| wrong(uuid)) {
            bad.push((*line, uuid.clone(), "looks for the filesystem".into()));
        }
        if let Some(uuid) = entry.root().and_then(|root| root.strip_prefix("UUID=")) {
            let root_entry = facts.system.facts.fstab.at("/");
            let other = match root_entry.map(|it| &it.spec) {
                Some(Spec::Uuid(wanted)) => !wanted.eq_ignore_ascii_case(uuid),
                _ => false,
            };
            let differs = other && exists(facts, uuid) != Some(true);
            if differs || wrong(uuid) && exists(facts, uuid).is_some() {
                bad.push((
                    entry.line,
                    uuid.to_string(),
                    "gives the kernel the root".into(),
                ));
            }
        }
    }
    for (line, uuid) in &config.searches {
        if wrong(uuid) {
            bad.push((*line, uuid.clone(), "looks for the filesystem".into()));
        }
    }
    bad.sort();
    bad.dedup();
    let (_, uuid, _) = bad.first()?;
    let what = format!(
        "{} names the filesystem {uuid}, which is not this system's. It will not boot.",
        config.path
    );
    let mut finding = Finding::error(Kind::LoaderConfigDevice, what)
        .screen("error: no such device; or: ALERT! UUID=... does not exist. Dropping to a shell!")
        .fix(fix(facts, config));
    for (line, uuid, does) in bad.iter().take(3) {
        finding = finding.seen(format!("{}:{line} {does} {uuid}", config.path));
    }
    if let Some((uuid, from)) = own.first() {
        finding = finding.seen(format!("the system's own is {uuid} ({from})"));
    }
    Some(finding)
}

/// A loader is installed, and nothing tells it what to start.
fn no_config(facts: &Facts<'_>) -> Option<Finding> {
    let boot = &facts.system.boot;
    let grub = boot.grub_for_bios || boot.grub_for_uefi;
    if !facts.health.boot.configs.is_empty() || boot.unified > 0 || boot.kernels.is_empty() {
        return None;
    }
    let others = boot.loaders.iter().any(|loader| {
        !matches!(
            loader,
            Loader::Grub | Loader::SystemdBoot | Loader::Syslinux
        )
    });
    if !grub || others {
        return None;
    }
    let path = match facts.family() {
        Family::Fedora | Family::Suse => "/boot/grub2/grub.cfg",
        _ => "/boot/grub/grub.cfg",
    };
    Some(
        Finding::error(
            Kind::LoaderConfigMissing,
            format!("{path} is missing. GRUB has no menu and starts nothing."),
        )
        .seen(format!("GRUB's modules are in /boot, {path} is not there"))
        .screen("grub>")
        .fix(fixes::boot_config(facts.family())),
    )
}

/// The newest kernel is in no menu.
fn stale(facts: &Facts<'_>) -> Option<Finding> {
    let boot = &facts.health.boot;
    let config = boot
        .configs
        .iter()
        .find(|config| config.format == Format::Grub)?;
    let blocked = config.refers
        || config.broken.is_some()
        || boot.configs.iter().any(|it| it.format == Format::Bls);
    let kernel = boot
        .kernels
        .iter()
        .rev()
        .find(|kernel| !kernel.rescue && kernel.bad.is_none())?;
    let name = kernel.path.file_name()?.to_str()?;
    let is_named = config.entries.iter().any(|entry| {
        entry
            .kernel
            .as_deref()
            .and_then(|path| path.rsplit('/').next())
            == Some(name)
    });
    if blocked || is_named {
        return None;
    }
    Some(
        Finding::warning(
            Kind::LoaderConfigFile,
            format!(
                "{} does not know the newest kernel, {}. An older one starts.",
                config.path, kernel.version
            ),
        )
        .seen(format!("{} is there, and no entry names it", kernel.path))
        .fix(fix(facts, config)),
    )
}
