//! The list of what is in a jail: written by `jail build`, read by `check`, `update`, `show`,
//! `remove` and `enter`. The format is documented in newroot-jail(8).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Map, RootPath, Set};

/// Where a jail keeps what was put into it and why; a root that has it is a jail of ours.
pub const MANIFEST: &str = "/.newroot/manifest.json";

/// The format that this program writes; it reads no newer one.
pub const MANIFEST_VERSION: u32 = 1;

/// What a jail holds, and what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// "newroot 0.1.0"
    pub tool: String,
    /// When it was written: seconds since 1970.
    pub written: i64,
    /// What was asked for; `update` asks for it again.
    pub request: Request,
    /// The programs that must find everything they need inside the jail.
    pub programs: Vec<RootPath>,
    /// Some program finds its libraries by `$ORIGIN`: it does not start without /proc.
    pub needs_proc: bool,
    /// What to run when nothing else is asked for (from a profile).
    pub command: Vec<String>,
    /// Variables for the command (from the profiles).
    pub environment: BTreeMap<String, String>,
    /// Host paths to show inside when the jail is entered (from the profiles).
    pub binds: Vec<BindEntry>,
    /// Everything in the jail, by path; the manifest itself and its directory left out.
    pub entries: Vec<Entry>,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The root that everything comes from, absolute.
    pub from: RootPath,
    /// Profiles by name, or by absolute path.
    pub profiles: Vec<String>,
    /// Programs by name; with a slash in it, a path inside `from`.
    pub items: Vec<Text>,
    /// Users of `from`.
    pub users: Vec<String>,
    /// Whether set-id bits and file capabilities are kept.
    pub keep_privileges: bool,
}

/// A bind mount that a profile asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindEntry {
    /// On the host.
    pub source: Text,
    /// In the jail.
    pub target: RootPath,
    /// Whether it is read-only.
    pub read_only: bool,
}

/// One path of the jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where.
    pub path: RootPath,
    /// What it is.
    pub kind: EntryKind,
    /// Where it comes from inside `from`; absent for what newroot made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RootPath>,
    /// The package that owns the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The other name of this file in the jail, of which this one is a hard link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_of: Option<RootPath>,
    /// Length of a file in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Permission bits; 0 for a link.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// BLAKE3 of a file's content, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// Text of a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Text>,
    /// Device number of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<(u32, u32)>,
    /// Who needs it: "program git", "profile nss", "package tzdata", "path /etc/x", "jail".
    pub why: Vec<Reason>,
}

/// For whom something is in a jail. A clone shares the text: libc is there for everybody.
pub type Reason = Arc<str>;

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A character device.
    Char,
    /// A block device.
    Block,
}

impl EntryKind {
    /// The word for reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File => "file",
            Self::Link => "link",
            Self::Char => "character device",
            Self::Block => "block device",
        }
    }
}

/// Text from a disk: a JSON string where it is UTF-8, an array of bytes where it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Json {
    Text(String),
    Bytes(Vec<u8>),
}

impl Text {
    /// The text for people; what is not UTF-8 is replaced.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_seq(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Json::deserialize(deserializer)? {
            Json::Text(text) => Self(text.into_bytes()),
            Json::Bytes(bytes) => Self(bytes),
        })
    }
}

impl Serialize for RootPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text(self.as_bytes().to_vec()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RootPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A manifest may have been edited: `..` must not reach what is done with these paths.
        Text::deserialize(deserializer).map(|text| Self::from_bytes(&text.0).normalized())
    }
}

impl Default for RootPath {
    fn default() -> Self {
        Self::root()
    }
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no JSON of this shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Another newroot wrote it.
    #[error("it has version {0}, and this newroot knows version {MANIFEST_VERSION}")]
    Version(u32),
}

/// What every version begins with.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Manifest {
    /// Reads the JSON.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        // serde takes a list for a struct as well.
        let _is_object: BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_slice(bytes)?;
        let Head { version } = serde_json::from_slice(bytes)?;
        if version == 0 || version > MANIFEST_VERSION {
            return Err(ManifestError::Version(version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What was asked for, from a manifest that lost its end: the entries come last.
    #[must_use]
    pub fn salvage_request(bytes: &[u8]) -> Option<Request> {
        const ENTRIES: &[u8] = b"\"entries\": [";
        let at = bytes
            .windows(ENTRIES.len())
            .position(|part| part == ENTRIES)?;
        let mut head = bytes.get(..at + ENTRIES.len())?.to_vec();
        head.extend_from_slice(b"]}");
        let manifest: Self = serde_json::from_slice(&head).ok()?;
        let request = manifest.request;
        let asks = !request.items.is_empty() || !request.profiles.is_empty();
        asks.then_some(request)
    }

    /// Fills in what copying found out: sums and lengths by path.
    pub fn take_sums<'a>(&mut self, sums: impl Iterator<Item = (&'a RootPath, [u8; 32], u64)>) {
        let known: Map<&RootPath, ([u8; 32], u64)> =
            sums.map(|(path, sum, size)| (path, (sum, size))).collect();
        for entry in &mut self.entries {
            if let Some((sum, size)) = known.get(&entry.path) {
                entry.blake3 = Some(hex(sum));
                entry.size = *size;
            }
        }
        // A hard link has the sum of the name that was copied.
        let linked: Set<RootPath> = self
            .entries
            .iter()
            .filter_map(|entry| entry.link_of.clone())
            .collect();
        let of_files: Map<RootPath, (Option<String>, u64)> = self
            .entries
            .iter()
            .filter(|entry| entry.blake3.is_some() && linked.contains(&entry.path))
            .map(|entry| (entry.path.clone(), (entry.blake3.clone(), entry.size)))
            .collect();
        for entry in &mut self.entries {
            let of = entry.link_of.as_ref().and_then(|path| of_files.get(path));
            if let Some((sum, size)) = of {
                entry.blake3.clone_from(sum);
                entry.size = *size;
            }
        }
    }

    /// Takes entries away that could not be made.
    pub fn forget<'a>(&mut self, paths: impl Iterator<Item = &'a RootPath>) {
        let gone: std::collections::BTreeSet<&RootPath> = paths.collect();
        self.entries.retain(|entry| !gone.contains(&entry.path));
    }

    /// Writes the JSON: one entry a line, so that two manifests can be compared with diff(1).
    ///
    /// # Errors
    /// None that can happen with these types; serde_json's.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let head = Self {
            version: self.version,
            tool: self.tool.clone(),
            written: self.written,
            request: self.request.clone(),
            programs: self.programs.clone(),
            needs_proc: self.needs_proc,
            command: self.command.clone(),
            environment: self.environment.clone(),
            binds: self.binds.clone(),
            entries: Vec::new(),
        };
        let mut out = serde_json::to_vec_pretty(&head)?;
        // `entries` is the last member and empty here: `…"entries": []\n}`.
        let cut = out.len().saturating_sub("]\n}".len());
        out.truncate(cut);
        for (index, entry) in self.entries.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\n    " } else { b",\n    " });
            serde_json::to_writer(&mut out, entry)?;
        }
        out.extend_from_slice(b"\n  ]\n}\n");
        Ok(out)
    }
}

/// 64 lower-case digits.
#[must_use]
pub fn hex(sum: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(sum.len() * 2);
    for byte in sum {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8]) -> Entry {
        Entry {
            path: RootPath::from_bytes(path),
            kind: EntryKind::File,
            source: None,
            package: Some("git".into()),
            link_of: None,
            size: 3,
            mode: 0o755,
            uid: 0,
            gid: 0,
            blake3: Some("00".into()),
            target: None,
            device: None,
            why: vec!["program git".into()],
        }
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_whatever_the_names_hold() {
        let mut manifest = Manifest {
            version: MANIFEST_VERSION,
            entries: vec![entry(b"/usr/bin/git"), entry(b"/a\xff\nb")],
            ..Manifest::default()
        };
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::parse(&json).unwrap(), manifest);
        manifest.entries.clear();
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::parse(&json).unwrap(), manifest);
    }

    #[test]
    fn an_edited_path_cannot_climb_and_a_newer_version_is_refused() {
        let text = br#"{"version":1,"entries":[{"path":"/a/../../etc/x","kind":"file","mode":0,"uid":0,"gid":0,"why":[]}]}"#;
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.entries[0].path, RootPath::new("/etc/x"));
        let error = Manifest::parse(br#"{"version":7}"#).unwrap_err();
        assert!(error.to_string().contains("version 7"));
    }

    #[test]
    fn what_is_no_manifest_is_not_taken_for_an_empty_one() {
        for text in ["", "[1]", "[]", "null", "{}", r#"{"entries":[]}"#] {
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_request_outlives_a_cut() {
        let manifest = Manifest {
            version: MANIFEST_VERSION,
            request: Request {
                items: vec![Text(b"bash".to_vec())],
                ..Request::default()
            },
            entries: vec![entry(b"/usr/bin/git"), entry(b"/usr/bin/ls")],
            ..Manifest::default()
        };
        let json = manifest.to_json().unwrap();
        let cut = &json[..json.len() - 60];
        assert!(Manifest::parse(cut).is_err());
        assert_eq!(Manifest::salvage_request(cut), Some(manifest.request));
        assert_eq!(Manifest::salvage_request(&json[..40]), None);
        assert_eq!(Manifest::salvage_request(b"not json"), None);
    }
}
