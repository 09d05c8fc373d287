//! os-release(5), and the older release files of systems that have none.

/// What a system calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`: `debian`. Letters, digits, `.`, `_`, `-`; `linux` when absent.
    pub id: String,
    /// `ID_LIKE`, split.
    pub like: Vec<String>,
    /// `VERSION_ID`.
    pub version: Option<String>,
    /// `NAME`.
    pub name: Option<String>,
    /// `PRETTY_NAME`.
    pub pretty: Option<String>,
    /// `VARIANT_ID`.
    pub variant: Option<String>,
}

impl OsRelease {
    /// "Debian 12", "Fedora 43", "Arch Linux": short enough for a table.
    #[must_use]
    pub fn short(&self) -> String {
        let name = self.name.clone().unwrap_or_else(|| self.id.clone());
        let name = name
            .replace(" GNU/Linux", "")
            .replace("Fedora Linux", "Fedora")
            .replace("Red Hat Enterprise Linux", "RHEL");
        match &self.version {
            Some(version) if !name.contains(version.as_str()) => format!("{name} {version}"),
            _ => name,
        }
    }

    /// Whether this is `id` or says that it is like it.
    #[must_use]
    pub fn is_like(&self, id: &str) -> bool {
        self.id == id || self.like.iter().any(|like| like == id)
    }
}

/// Reads an os-release file; `None` when not one known key is in it.
#[must_use]
pub fn parse(text: &[u8]) -> Option<OsRelease> {
    let text = String::from_utf8_lossy(text);
    let mut release = OsRelease::default();
    let mut known = false;
    for line in text.lines() {
        let line = line.trim();
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = unquote(value.trim());
        let wanted = !value.is_empty();
        match key {
            "ID" => release.id = id(&value),
            "ID_LIKE" => release.like = value.split_whitespace().map(id).collect(),
            "VERSION_ID" => release.version = Some(value).filter(|_| wanted),
            "NAME" => release.name = Some(value).filter(|_| wanted),
            "PRETTY_NAME" => release.pretty = Some(value).filter(|_| wanted),
            "VARIANT_ID" => release.variant = Some(value).filter(|_| wanted),
            _ => continue,
        }
        known = true;
    }
    if release.id.is_empty() {
        release.id = "linux".to_string();
    }
    known.then_some(release)
}

/// The files that systems had before os-release, and what they stand for.
pub const OLD_FILES: &[(&str, &str)] = &[
    ("/etc/debian_version", "debian"),
    ("/etc/alpine-release", "alpine"),
    ("/etc/arch-release", "arch"),
    ("/etc/gentoo-release", "gentoo"),
    ("/etc/slackware-version", "slackware"),
    ("/etc/SuSE-release", "suse"),
    ("/etc/fedora-release", "fedora"),
    ("/etc/centos-release", "centos"),
    ("/etc/redhat-release", "rhel"),
    ("/etc/lfs-release", "lfs"),
    ("/etc/system-release", "linux"),
];

/// What one of [`OLD_FILES`] says: its first line, the first number in it as the version.
#[must_use]
pub fn parse_old(name: &str, text: &[u8]) -> OsRelease {
    let text = String::from_utf8_lossy(text);
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .chars()
        .take(80)
        .collect();
    let version = line
        .split(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
        .map(|word| word.trim_end_matches('.').to_string());
    let mut proper = name.to_string();
    if let Some(first) = proper.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    OsRelease {
        id: name.to_string(),
        version,
        name: Some(proper),
        pretty: Some(line).filter(|line| !line.is_empty()),
        ..OsRelease::default()
    }
}

/// Keeps what os-release(5) allows in an id: it becomes part of the name a person types.
fn id(text: &str) -> String {
    text.chars()
        .map(|letter| letter.to_ascii_lowercase())
        .filter(|letter| letter.is_ascii_alphanumeric() || "._-".contains(*letter))
        .take(32)
        .collect()
}

/// Takes away shell quotes and the backslashes that double quotes allow.
fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let plain = inner.unwrap_or(value);
    let mut out = String::new();
    let mut letters = plain.chars().take(256);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if !value.starts_with('\'') => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_fit_a_table() {
        let table = [
            (
                "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
                "debian",
                "Debian 12",
            ),
            (
                "NAME=\"Fedora Linux\"\nVERSION_ID=43\nID=fedora",
                "fedora",
                "Fedora 43",
            ),
            ("NAME='Arch Linux'\nID=arch", "arch", "Arch Linux"),
            ("ID=../Evil\x1b", "..evil", "..evil"),
            ("PRETTY_NAME=x", "linux", "linux"),
            ("NAME=\"a\\\"b\"\nID=x", "x", "a\"b"),
        ];
        for (text, id, short) in table {
            let release = parse(text.as_bytes()).unwrap();
            assert_eq!((release.id.as_str(), release.short().as_str()), (id, short));
        }
    }

    #[test]
    fn garbage_is_no_release() {
        assert_eq!(parse(b"\xff\xfe\0ID"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn old_files_give_a_version() {
        let release = parse_old("centos", b"CentOS release 6.10 (Final)\n");
        assert_eq!(release.short(), "Centos 6.10");
        assert_eq!(parse_old("debian", b"trixie/sid\n").version, None);
    }
}
