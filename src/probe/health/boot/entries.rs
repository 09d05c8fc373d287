//! The plain formats: Boot Loader Specification entries, extlinux and syslinux.

use super::config::{Config, Entry, Format, empty};
use crate::model::RootPath;

const MOST_ENTRIES: usize = 500;

/// One entry of the Boot Loader Specification: `key value` lines.
#[must_use]
pub fn bls(path: &RootPath, text: &str) -> Config {
    let mut config = empty(path, Format::Bls);
    let mut entry = Entry::default();
    let mut image = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let Some((key, value)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let value = value.trim();
        match key {
            "title" => entry.title = value.to_string(),
            "linux" => (entry.line, entry.kernel) = (at + 1, Some(value.to_string())),
            "initrd" => entry
                .initrds
                .extend(value.split_whitespace().map(str::to_string)),
            "options" => {
                if !entry.options.is_empty() {
                    entry.options.push(' ');
                }
                entry.options.push_str(value);
            }
            // A unified image, or a program of the firmware's: looked for as a kernel is.
            "efi" | "uki" => {
                (entry.line, entry.kernel, image) = (at + 1, Some(value.to_string()), true);
            }
            _ => {}
        }
    }
    if entry.kernel.is_none() && !image {
        config.broken = Some("it names no kernel".into());
    }
    entry.minor = path.to_string().contains("rescue");
    config.entries.push(entry);
    config
}

/// extlinux.conf and syslinux.cfg: `LABEL`, then what it starts.
#[must_use]
pub fn syslinux(path: &RootPath, text: &str) -> Config {
    let mut config = empty(path, Format::Syslinux);
    let mut current: Option<Entry> = None;
    let mut names: Vec<String> = Vec::new();
    let mut default = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        match (key.to_ascii_lowercase().as_str(), &mut current) {
            ("default", None) => default = Some(value.to_string()),
            ("include", _) => config.refers = true,
            ("label", _) => {
                config
                    .entries
                    .extend(current.take().filter(|_| names.len() < MOST_ENTRIES));
                names.push(value.to_string());
                current = Some(Entry {
                    title: value.to_string(),
                    ..Entry::default()
                });
            }
            ("kernel" | "linux", Some(entry)) => {
                (entry.line, entry.kernel) = (at + 1, Some(value.to_string()));
            }
            ("initrd", Some(entry)) => entry.initrds.extend(value.split(',').map(str::to_string)),
            ("append", Some(entry)) => append(entry, value),
            ("menu", Some(entry)) if value.eq_ignore_ascii_case("default") => entry.default = true,
            _ => {}
        }
    }
    config.entries.extend(current);
    if config.entries.is_empty() && !config.refers {
        config.broken = Some("it has no label".into());
    }
    let marked = config.entries.iter().any(|entry| entry.default);
    let wanted =
        default.and_then(|name| config.entries.iter().position(|entry| entry.title == name));
    if let Some(entry) = config
        .entries
        .get_mut(wanted.unwrap_or(0))
        .filter(|_| !marked)
    {
        entry.default = true;
    }
    // Menus of a disc start other things than kernels: com32 modules, local disks.
    config.entries.retain(|entry| {
        entry
            .kernel
            .as_deref()
            .is_some_and(|kernel| !kernel.ends_with(".c32"))
    });
    config
}

fn append(entry: &mut Entry, value: &str) {
    for word in value.split_whitespace() {
        if let Some(initrd) = word.strip_prefix("initrd=") {
            entry.initrds.extend(initrd.split(',').map(str::to_string));
        }
    }
    entry.options = value.to_string();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bls_entry_is_read() {
        let text = "title Fedora\nversion 6.17\nlinux /vmlinuz-6.17\ninitrd /initramfs-6.17.img $tuned\noptions root=UUID=1 ro\noptions quiet\n";
        let config = bls(&RootPath::new("/boot/loader/entries/a.conf"), text);
        let entry = &config.entries[0];
        assert_eq!(entry.kernel.as_deref(), Some("/vmlinuz-6.17"));
        assert_eq!(entry.root(), Some("UUID=1"));
        assert_eq!(entry.initrds.len(), 2);
        assert!(bls(&RootPath::new("/x"), "title x\n").broken.is_some());
    }

    #[test]
    fn extlinux_labels_and_the_default() {
        let text = "DEFAULT lts\nTIMEOUT 1\nLABEL virt\n LINUX vmlinuz-virt\nLABEL lts\n MENU LABEL x\n LINUX vmlinuz-lts\n INITRD initramfs-lts\n APPEND root=UUID=2 modules=ext4\n";
        let config = syslinux(&RootPath::new("/boot/extlinux.conf"), text);
        assert_eq!(config.entries.len(), 2);
        assert!(config.entries[1].default && !config.entries[0].default);
        assert_eq!(config.entries[1].initrds, ["initramfs-lts"]);
        assert_eq!(config.entries[1].root(), Some("UUID=2"));
    }
}
