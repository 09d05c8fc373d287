//! crypttab(5) of a root: under which name the system opens which encrypted device.

use super::fstab::{LONGEST_LINE, MOST_ENTRIES};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line number, from 1.
    pub line: usize,
    /// The name below /dev/mapper.
    pub name: String,
    /// `UUID=…`, `/dev/…`, `PARTUUID=…`, as written.
    pub device: String,
    /// The key file as written; `None` for `none`, `-` and an absent field: a passphrase.
    pub key: Option<String>,
    /// Options, split at commas.
    pub options: Vec<String>,
}

impl Entry {
    /// The LUKS UUID this entry names, if it names one.
    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        let by_id = "/dev/disk/by-uuid/";
        self.device
            .strip_prefix("UUID=")
            .or_else(|| self.device.strip_prefix(by_id))
            .map(|uuid| uuid.trim_matches('"'))
    }

    /// Opened with a new random key at every boot: swap or /tmp, nothing to unlock.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        let key = self.key.as_deref().unwrap_or_default();
        key.starts_with("/dev/") && key.ends_with("random")
            || self
                .options
                .iter()
                .any(|option| option == "swap" || option == "tmp")
    }
}

/// Reads a whole crypttab; lines without a name and a device, and names that could not stand
/// below /dev/mapper, are left out.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Entry> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| line.len() <= LONGEST_LINE)
        .filter_map(|(index, line)| entry(index + 1, &String::from_utf8_lossy(line)))
        .take(MOST_ENTRIES)
        .collect()
}

fn entry(line: usize, text: &str) -> Option<Entry> {
    let text = text.trim();
    if text.starts_with('#') {
        return None;
    }
    let mut fields = text.split_ascii_whitespace();
    let name = fields.next()?.to_string();
    let device = fields.next()?.to_string();
    if name.contains('/') || name == "." || name == ".." {
        return None;
    }
    let key = fields.next().filter(|key| !matches!(*key, "none" | "-"));
    let options = fields.next().unwrap_or_default();
    Some(Entry {
        line,
        name,
        device,
        key: key.map(str::to_string),
        options: options
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_string)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_devices_keys_and_options() {
        let text = b"# c\nweb03_crypt UUID=91bc none luks,discard\n\
            sw /dev/sda3 /dev/urandom swap\n../x UUID=1 none\nalone\ncr UUID=\"2\"\n";
        let entries = parse(text);
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[0].name, "web03_crypt");
        assert_eq!(entries[0].uuid(), Some("91bc"));
        assert_eq!(entries[0].key, None);
        assert_eq!(entries[0].options, ["luks", "discard"]);
        assert!(entries[1].is_volatile() && !entries[0].is_volatile());
        assert_eq!(entries[2].uuid(), Some("2"));
    }
}
