//! The documents of an OCI image (image-spec 1.0): config, manifest, index, layout.
//!
//! Pure: text in, text out. JSON objects have sorted keys, so that the same image has the same
//! digest.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};

use super::entry::{Body, Image};

/// How a container of this image starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OciConfig {
    /// `NAME[:TAG]`; without it the image is just `latest`.
    pub tag: Option<String>,
    /// The program, its fixed arguments after it.
    pub entrypoint: Vec<String>,
    /// The arguments, or the whole command where there is no entry point; `podman run IMAGE ARG`
    /// replaces it.
    pub command: Vec<String>,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Name, uid or uid:gid.
    pub user: Option<String>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// `80`, `80/tcp`, `53/udp`.
    pub expose: Vec<String>,
    /// Seconds since 1970.
    pub created: i64,
    /// In Go's words: `amd64`, and the variant of an ARM.
    pub architecture: (&'static str, Option<&'static str>),
}

/// A blob of the layout: a digest and a length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    /// SHA-256, lower-case hexadecimal.
    pub digest: String,
    /// In bytes.
    pub size: u64,
}

/// The PATH that podman, docker and containerd give where an image has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The config: `diff_id` is the digest of the layer before compression.
pub(super) fn config_json(config: &OciConfig, diff_id: &str) -> Vec<u8> {
    let mut environment = config.environment.clone();
    environment
        .entry("PATH".to_string())
        .or_insert_with(|| DEFAULT_PATH.to_string());
    let environment: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut run = json!({ "Env": environment });
    let mut set = |key: &str, value: Option<Value>| {
        if let (Some(value), Some(object)) = (value, run.as_object_mut()) {
            object.insert(key.to_string(), value);
        }
    };
    let list = |words: &[String]| (!words.is_empty()).then(|| json!(words));
    set("Entrypoint", list(&config.entrypoint));
    set("Cmd", list(&config.command));
    set("User", config.user.as_ref().map(|user| json!(user)));
    set(
        "WorkingDir",
        config.workdir.as_ref().map(|path| json!(path)),
    );
    let ports: BTreeMap<String, Value> = config
        .expose
        .iter()
        .map(|port| (with_protocol(port), json!({})))
        .collect();
    set("ExposedPorts", (!ports.is_empty()).then(|| json!(ports)));
    let created = rfc3339(config.created);
    let mut document = json!({
        "architecture": config.architecture.0,
        "config": run,
        "created": created,
        "history": [{ "created": created, "created_by": "newroot jail export" }],
        "os": "linux",
        "rootfs": { "diff_ids": [format!("sha256:{diff_id}")], "type": "layers" },
    });
    if let (Some(variant), Some(object)) = (config.architecture.1, document.as_object_mut()) {
        object.insert("variant".to_string(), json!(variant));
    }
    bytes(&document)
}

/// The manifest: one config, one layer.
pub(super) fn manifest_json(config: &Blob, layer: &Blob) -> Vec<u8> {
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
    }))
}

/// The index. podman and containerd take the image's name from `io.containerd.image.name`;
/// skopeo and umoci select by `ref.name`, which is the tag alone.
pub(super) fn index_json(config: &OciConfig, manifest: &Blob) -> Vec<u8> {
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest);
    let mut platform = json!({ "architecture": config.architecture.0, "os": "linux" });
    if let (Some(variant), Some(object)) = (config.architecture.1, platform.as_object_mut()) {
        object.insert("variant".to_string(), json!(variant));
    }
    let mut annotations = json!({ "org.opencontainers.image.ref.name": config.tag_part() });
    if let (Some(name), Some(object)) = (config.full_name(), annotations.as_object_mut()) {
        object.insert("io.containerd.image.name".to_string(), json!(name));
    }
    if let Some(object) = entry.as_object_mut() {
        object.insert("platform".to_string(), platform);
        object.insert("annotations".to_string(), annotations);
    }
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }))
}

/// The file `oci-layout`.
pub(super) fn layout_json() -> Vec<u8> {
    bytes(&json!({ "imageLayoutVersion": "1.0.0" }))
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({
        "mediaType": media_type,
        "digest": format!("sha256:{}", blob.digest),
        "size": blob.size,
    })
}

/// `Value`'s own text: a document of ours always has one.
fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

fn with_protocol(port: &str) -> String {
    if port.contains('/') {
        port.to_string()
    } else {
        format!("{port}/tcp")
    }
}

impl OciConfig {
    /// `--tag` in its two halves. A colon before the last slash belongs to a registry's port.
    fn halves(&self) -> Option<(&str, &str)> {
        let tag = self.tag.as_deref()?;
        match tag.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => Some((name, tag)),
            _ => Some((tag, "latest")),
        }
    }

    fn tag_part(&self) -> &str {
        self.halves().map_or("latest", |(_, tag)| tag)
    }

    /// With a registry; `localhost` as podman has it for what was never pushed.
    fn full_name(&self) -> Option<String> {
        let (name, tag) = self.halves()?;
        let registry = name.split_once('/').map(|(first, _)| first);
        let has_registry =
            registry.is_some_and(|host| host.contains(['.', ':']) || host == "localhost");
        let prefix = if has_registry { "" } else { "localhost/" };
        Some(format!("{prefix}{name}:{tag}"))
    }

    /// Whether `tag` is a name that registries and tools take (distribution reference grammar).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_tag(tag: &str) -> Result<(), &'static str> {
        let config = Self {
            tag: Some(tag.to_string()),
            ..Self::default()
        };
        let Some((name, tag)) = config.halves() else {
            return Ok(());
        };
        let word = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if tag.is_empty()
            || tag.len() > 128
            || !tag.chars().all(word)
            || tag.starts_with(['.', '-'])
        {
            return Err("after the colon: letters, digits and _ . - only, 128 at most");
        }
        let parts: Vec<&str> = name.split('/').collect();
        let last = parts.len() - 1;
        for (number, part) in parts.iter().enumerate() {
            let port = number == 0 && last > 0;
            let fine = |c: char| {
                c.is_ascii_lowercase()
                    || c.is_ascii_digit()
                    || "_.-".contains(c)
                    || (port && c == ':')
            };
            let edge = |c: char| "_.-".contains(c);
            if part.is_empty()
                || !part.chars().all(fine)
                || part.starts_with(edge)
                || part.ends_with(edge)
            {
                return Err("a name has lower-case letters, digits and single . _ - between them");
            }
        }
        Ok(())
    }
}

/// `2026-11-24T13:30:00Z`.
fn rfc3339(seconds: i64) -> String {
    // Years of another digit count are not RFC 3339.
    let seconds = seconds.clamp(0, 253_402_300_799);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970-01-01 as a date of the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // 400 years always have the same number of days.
    let mut year = 1970 + 400 * days.div_euclid(146_097);
    let mut left = days.rem_euclid(146_097);
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

/// The architecture of the image's programs, from the first ELF file that may be executed;
/// this machine's when there is none. In Go's words, as OCI has it.
#[must_use]
pub fn architecture_of(image: &Image) -> (&'static str, Option<&'static str>) {
    for entry in image.entries() {
        let Body::File {
            size: 20..,
            content,
        } = &entry.body
        else {
            continue;
        };
        let mut head = [0; 20];
        if entry.mode & 0o111 == 0 {
            continue;
        }
        let read = image.open(&entry.path, content);
        if read.is_ok_and(|mut file| file.read_exact(&mut head).is_ok())
            && let Some(found) = machine(&head)
        {
            return found;
        }
    }
    match std::env::consts::ARCH {
        "x86_64" => ("amd64", None),
        "x86" => ("386", None),
        "aarch64" => ("arm64", Some("v8")),
        "arm" => ("arm", Some("v7")),
        "loongarch64" => ("loong64", None),
        "powerpc64" => ("ppc64le", None),
        other => (other, None),
    }
}

/// `e_machine` with class and byte order, where OCI has a word for it.
fn machine(head: &[u8; 20]) -> Option<(&'static str, Option<&'static str>)> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let (wide, little) = (head[4] == 2, head[5] == 1);
    let pair = [head[18], head[19]];
    let number = if little {
        u16::from_le_bytes(pair)
    } else {
        u16::from_be_bytes(pair)
    };
    Some(match (number, wide, little) {
        (62, true, true) => ("amd64", None),
        (3, false, true) => ("386", None),
        (183, true, true) => ("arm64", Some("v8")),
        (40, false, true) => ("arm", Some("v7")),
        (243, true, true) => ("riscv64", None),
        (258, true, true) => ("loong64", None),
        (21, true, true) => ("ppc64le", None),
        (21, true, false) => ("ppc64", None),
        (22, true, false) => ("s390x", None),
        (8, true, true) => ("mips64le", None),
        (8, true, false) => ("mips64", None),
        (8, false, true) => ("mipsle", None),
        (8, false, false) => ("mips", None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendar_s() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(rfc3339(seconds), text);
        }
    }

    fn tagged(tag: &str) -> OciConfig {
        OciConfig {
            tag: Some(tag.to_string()),
            ..OciConfig::default()
        }
    }

    #[test]
    fn a_name_has_a_registry_and_a_tag() {
        let table = [
            ("web", "localhost/web:latest", "latest"),
            ("web:1.2", "localhost/web:1.2", "1.2"),
            ("quay.io/me/web:1", "quay.io/me/web:1", "1"),
            ("host:5000/web", "host:5000/web:latest", "latest"),
        ];
        for (tag, name, short) in table {
            assert_eq!(tagged(tag).full_name().unwrap(), name);
            assert_eq!(tagged(tag).tag_part(), short);
            assert!(OciConfig::check_tag(tag).is_ok(), "{tag}");
        }
        for tag in [
            "", "Web", "web:", "web:a b", "a//b", "-web", "web:.x", "we\nb",
        ] {
            assert!(OciConfig::check_tag(tag).is_err(), "{tag}");
        }
    }

    #[test]
    fn a_config_has_what_was_asked_and_a_path() {
        let config = OciConfig {
            entrypoint: vec!["/bin/sh".to_string()],
            expose: vec!["80".to_string(), "53/udp".to_string()],
            architecture: ("arm64", Some("v8")),
            ..OciConfig::default()
        };
        let value: Value = serde_json::from_slice(&config_json(&config, "ab")).unwrap();
        assert_eq!(value["config"]["Entrypoint"], json!(["/bin/sh"]));
        assert_eq!(
            value["config"]["ExposedPorts"],
            json!({ "53/udp": {}, "80/tcp": {} })
        );
        assert_eq!(
            value["config"]["Env"],
            json!([format!("PATH={DEFAULT_PATH}")])
        );
        assert_eq!(value["rootfs"]["diff_ids"], json!(["sha256:ab"]));
        assert_eq!(value["variant"], "v8");
        assert_eq!(value["config"].get("User"), None);
    }

    #[test]
    fn machines_have_go_s_names() {
        let mut head = [0; 20];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = 183;
        assert_eq!(machine(&head), Some(("arm64", Some("v8"))));
        head[0] = 0;
        assert_eq!(machine(&head), None);
    }
}
