//! What an image has besides the jail's files: devices and /init of an initramfs, kernel modules,
//! the config of a container; and whether the options fit the format.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use crate::cli::export::{ExportArgs, ExportFormat};
use crate::error::{Exit, Failure};
use crate::image::{self, Body, Entry, Image, ImageError, ModuleRequest, OciConfig};
use crate::model::{HostPath, Manifest, RootPath};
use crate::root::InRoot;
use crate::ui::{Ui, shell_quote};

use super::jail;

fn usage(what: impl Into<String>, why: impl Into<String>) -> Failure {
    Failure::new(what, why).exit(Exit::Usage)
}

/// An option that the format has no place for is a mistake of the caller's.
pub(super) fn check_options(args: &ExportArgs, format: ExportFormat) -> Result<(), Failure> {
    let cpio = [
        ("--init", args.initramfs.init.is_some()),
        ("--modules", !args.initramfs.modules.is_empty()),
        ("--from", args.from.is_some()),
    ];
    let oci = [
        ("--tag", args.oci.tag.is_some()),
        ("--entrypoint", !args.oci.entrypoint.is_empty()),
        ("--env", !args.oci.env.is_empty()),
        ("--user", args.oci.user.is_some()),
        ("--workdir", args.oci.workdir.is_some()),
        ("--expose", !args.oci.expose.is_empty()),
    ];
    let is_oci = matches!(format, ExportFormat::Oci | ExportFormat::OciDir);
    let given = |options: &[(&'static str, bool)]| {
        options
            .iter()
            .find(|(_, given)| *given)
            .map(|(name, _)| *name)
    };
    if let Some(name) = given(&cpio).filter(|_| format != ExportFormat::Cpio) {
        return Err(usage(
            format!("{name} is for an initramfs"),
            "this is another format",
        )
        .hint("write one", "--format cpio"));
    }
    if let Some(name) = given(&oci).filter(|_| !is_oci) {
        return Err(usage(
            format!("{name} is for a container image"),
            "this is another format",
        )
        .hint("write one", "--format oci"));
    }
    if args.from.is_some() && args.initramfs.modules.is_empty() {
        return Err(usage(
            "--from is where --modules come from",
            "no --modules is given",
        ));
    }
    for text in &args.initramfs.modules {
        ModuleRequest::parse(text)
            .map_err(|why| usage(format!("cannot read --modules {}", shell_quote(text)), why))?;
    }
    Ok(())
}

/// SOURCE_DATE_EPOCH as reproducible-builds.org has it.
pub(super) fn source_date_epoch(value: Option<OsString>) -> Result<Option<i64>, Failure> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let seconds = value.to_str().and_then(|text| text.parse::<u32>().ok());
    seconds
        .map(|seconds| Some(i64::from(seconds)))
        .ok_or_else(|| {
            let what = format!("SOURCE_DATE_EPOCH is {}", shell_quote(&value));
            usage(what, "it is the number of seconds since 1970")
        })
}

/// Changes the image as its format wants it; says what was added, a line each.
pub(super) fn dress(
    image: &mut Image,
    args: &ExportArgs,
    format: ExportFormat,
    ui: &Ui,
) -> Result<Vec<String>, ImageError> {
    match format {
        // Runtimes make /dev, and one without privilege fails on a device node.
        ExportFormat::Oci | ExportFormat::OciDir => image.drop_devices(),
        ExportFormat::Cpio => return initramfs(image, args, ui),
        ExportFormat::Tar | ExportFormat::Squashfs => {}
    }
    Ok(Vec::new())
}

fn initramfs(image: &mut Image, args: &ExportArgs, ui: &Ui) -> Result<Vec<String>, ImageError> {
    let mut added = devices(image);
    let init = RootPath::new("/init");
    if let Some(path) = &args.initramfs.init {
        let path = RootPath::new(path).normalized();
        let real = image.resolve(&path);
        if !image.get(&real).is_some_and(may_start) {
            return Err(ImageError::Unfit {
                path,
                why: "--init names it, and the jail has no program there",
            });
        }
        if real.file_name() != path.file_name() {
            // A multi-call program looks at its name: busybox as /init is not sh but init.
            ui.note(&format!(
                "{} is {} by another name; as /init it is started under the name init",
                shell_quote(path.as_path()),
                shell_quote(real.as_path())
            ));
        }
        if real != init {
            let target = path.as_bytes().to_vec();
            let modified = root_time(image);
            image.put(Entry::of_root(init, 0o777, modified, Body::Link { target }));
            added.push(format!("/init, a link to {path}"));
        }
    } else if image.get(&init).is_none() {
        ui.warn("there is no /init: the kernel starts none but it in an initramfs (see --init)");
    }
    for text in &args.initramfs.modules {
        // check_options has read it before.
        let Ok(request) = ModuleRequest::parse(text) else {
            continue;
        };
        let from = args.from.as_deref().unwrap_or_else(|| Path::new("/"));
        let root = InRoot::open(&HostPath::new(from)).map_err(|source| ImageError::Host {
            path: from.to_path_buf(),
            source,
        })?;
        let report = image::add_modules(image, &Arc::new(root), &request)?;
        for name in &report.built_in {
            ui.detail(&format!("{name} is built into {}", request.kernel));
        }
        for name in &report.soft_missing {
            ui.detail(&format!(
                "{} has no {name}, which a module likes to have",
                request.kernel
            ));
        }
        added.push(format!(
            "{} kernel modules of {}",
            report.copied, request.kernel
        ));
    }
    let lost = image.entries().filter(|entry| !entry.xattrs.is_empty());
    let lost: Vec<String> = lost
        .map(|entry| shell_quote(entry.path.as_path()))
        .collect();
    if !lost.is_empty() {
        let names = lost.join(" ");
        ui.warn(&format!(
            "cpio holds no attributes (file capabilities, ACLs): lost from {names}"
        ));
    }
    Ok(added)
}

/// /dev/console is what the kernel opens as the first program's terminal before anything can
/// mount a /dev; /dev/null is what a shell wants next.
fn devices(image: &mut Image) -> Vec<String> {
    let dev = RootPath::new("/dev");
    let is_directory =
        |entry: Option<&Entry>| entry.is_none_or(|entry| matches!(entry.body, Body::Directory));
    if !is_directory(image.get(&dev)) {
        return Vec::new();
    }
    let modified = root_time(image);
    image.put_directories(&dev, modified);
    let mut added = Vec::new();
    for (name, mode, major, minor) in [("console", 0o600, 5, 1), ("null", 0o666, 1, 3)] {
        let path = dev.join(name);
        if image.get(&path).is_none() {
            added.push(path.to_string());
            let block = false;
            let body = Body::Device {
                block,
                major,
                minor,
            };
            image.put(Entry::of_root(path, mode, modified, body));
        }
    }
    added
}

fn may_start(entry: &Entry) -> bool {
    matches!(entry.body, Body::File { .. } | Body::HardLink { .. }) && entry.mode & 0o111 != 0
}

fn root_time(image: &Image) -> i64 {
    image.get(&RootPath::root()).map_or(0, |root| root.modified)
}

/// The container's config: the options over what the manifest says.
pub(super) fn oci_config(args: &ExportArgs, about: &Manifest) -> Result<OciConfig, Failure> {
    let options = &args.oci;
    if let Some(tag) = &options.tag {
        OciConfig::check_tag(tag)
            .map_err(|why| usage(format!("cannot name an image {}", shell_quote(tag)), why))?;
    }
    let mut environment = about.environment.clone();
    for text in &options.env {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let what = format!("cannot read --env {}", shell_quote(text));
            return Err(usage(what, "an image needs the value too: NAME=VALUE"));
        };
        environment.insert(name.to_string(), value.to_string());
    }
    if let Some(workdir) = options
        .workdir
        .as_deref()
        .filter(|path| !path.starts_with('/'))
    {
        let what = format!("cannot start in {}", shell_quote(workdir));
        return Err(usage(what, "a directory of the image begins with /"));
    }
    if let Some(port) = options.expose.iter().find(|port| !is_port(port)) {
        let what = format!("cannot expose {}", shell_quote(port));
        return Err(usage(
            what,
            "a port is 1 to 65535, with /tcp, /udp or /sctp if need be",
        ));
    }
    let entrypoint = entrypoint(&options.entrypoint)?;
    let command = if entrypoint.is_empty() {
        jail::default_command(about)
    } else {
        Vec::new()
    };
    Ok(OciConfig {
        tag: options.tag.clone(),
        entrypoint,
        command,
        environment,
        user: options.user.clone(),
        workdir: options.workdir.clone(),
        expose: options.expose.clone(),
        ..OciConfig::default()
    })
}

/// `--entrypoint '["/bin/sh", "-c"]'` as podman takes it, or a word each time.
fn entrypoint(words: &[String]) -> Result<Vec<String>, Failure> {
    match words {
        [one] if one.starts_with('[') => serde_json::from_str(one).map_err(|error| {
            let what = format!("cannot read --entrypoint {}", shell_quote(one));
            usage(what, format!("it begins like a JSON list: {error}"))
        }),
        words => Ok(words.to_vec()),
    }
}

fn is_port(text: &str) -> bool {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    number.parse::<u16>().is_ok_and(|number| number > 0)
        && ["tcp", "udp", "sctp"].contains(&protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrypoint_is_words_or_one_list() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            entrypoint(&words(&["/bin/sh", "-c"])).unwrap(),
            ["/bin/sh", "-c"]
        );
        assert_eq!(entrypoint(&words(&["[\"a\", \"b\"]"])).unwrap(), ["a", "b"]);
        assert!(entrypoint(&words(&["[a"])).is_err());
    }

    #[test]
    fn the_epoch_is_a_number_or_an_error() {
        assert_eq!(source_date_epoch(None).unwrap(), None);
        assert_eq!(source_date_epoch(Some("17".into())).unwrap(), Some(17));
        for wrong in ["x", "-1", "1.5", "99999999999"] {
            assert!(source_date_epoch(Some(wrong.into())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ports_are_ports() {
        for (text, right) in [
            ("80", true),
            ("53/udp", true),
            ("0", false),
            ("x", false),
            ("1/icmp", false),
        ] {
            assert_eq!(is_port(text), right, "{text}");
        }
    }
}
