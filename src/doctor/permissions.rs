//! Owners and permission bits that shut people out, or let them in.

use super::fixes::Fix;
use super::{Facts, Finding, Kind, Severity};
use crate::model::{Kind as FileKind, RootPath};
use crate::probe::health::layout::{Is, Mode};

/// Everybody has to get through these.
const OPEN: &[&str] = &[
    "/",
    "/usr",
    "/etc",
    "/var",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/lib",
    "/lib64",
    "/bin",
    "/usr/lib/x86_64-linux-gnu",
];

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let modes = &facts.health.layout.modes;
    // Somebody unpacked this tree as a plain user: owners say nothing.
    let owner = modes
        .iter()
        .find(|it| it.path.to_string() == "/usr")
        .map_or(0, |it| it.meta.uid);
    // What a link of the merged /usr leads to is there under its own name.
    let is_link = |path: &RootPath| {
        let merged = &facts.health.layout.merged;
        merged
            .iter()
            .any(|(name, is)| matches!(is, Is::Link(..)) && path.as_bytes() == name.as_bytes())
    };
    let own = modes.iter().filter(|it| !is_link(&it.path));
    let mut found: Vec<Finding> = own.filter_map(|mode| one(mode, owner)).collect();
    found.extend(host_keys(facts));
    found
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn one(it: &Mode, owner: u32) -> Option<Finding> {
    let path = it.path.to_string();
    let mode = it.meta.mode;
    let seen = format!("{path} has mode {}, owner {}", octal(mode), it.meta.uid);
    let make = |severity, kind, what: String, wanted: &str| {
        Some(
            Finding::new(severity, kind, what)
                .seen(seen.clone())
                .fix(Fix::default().outside(format!("chmod {wanted} \"$ROOT{path}\""))),
        )
    };
    let is_dir = it.meta.kind == FileKind::Directory;
    if is_dir && OPEN.contains(&path.as_str()) {
        if mode & 0o001 == 0 {
            return make(
                Severity::Error,
                Kind::Directories,
                format!(
                    "{path} is closed to everybody but root. Services and users cannot start anything."
                ),
                "0755",
            );
        }
        if mode & 0o002 != 0 {
            return make(
                Severity::Error,
                Kind::Directories,
                format!("everybody may write to {path}."),
                "0755",
            );
        }
        if it.meta.uid != owner {
            let finding = Finding::error(
                Kind::Directories,
                format!("{path} does not belong to root."),
            );
            return Some(
                finding
                    .seen(seen)
                    .fix(Fix::default().outside(format!("chown {owner}:{owner} \"$ROOT{path}\""))),
            );
        }
    }
    match path.as_str() {
        "/tmp" | "/var/tmp" if is_dir && mode & 0o1777 != 0o1777 => make(
            Severity::Error,
            Kind::Permissions,
            format!("{path} is not open to everybody. Many programs and logins fail."),
            "1777",
        ),
        "/etc/passwd" | "/etc/group" if mode & 0o004 == 0 => make(
            Severity::Error,
            Kind::Permissions,
            format!("only root can read {path}. Programs do not know who they are."),
            "0644",
        ),
        "/etc/passwd" | "/etc/group" if mode & 0o022 != 0 => make(
            Severity::Error,
            Kind::Permissions,
            format!("others than root may write to {path}: whoever does can become root."),
            "0644",
        ),
        "/etc/shadow" | "/etc/gshadow" if mode & 0o007 != 0 => make(
            Severity::Error,
            Kind::Permissions,
            format!("everybody can read {path}, the passwords in it included."),
            "0640",
        ),
        "/etc/sudoers" if mode & 0o022 != 0 || it.meta.uid != owner => make(
            Severity::Error,
            Kind::Sudoers,
            "/etc/sudoers may be written by others than root. sudo refuses to work.".into(),
            "0440",
        ),
        "/usr/bin/sudo" if mode & 0o4000 == 0 => make(
            Severity::Error,
            Kind::Permissions,
            "sudo has lost its set-user-ID bit. It makes nobody root.".into(),
            "4755",
        ),
        "/usr/bin/su" | "/bin/su"
            if mode & 0o4000 == 0 && mode & 0o001 != 0 && path == "/usr/bin/su" =>
        {
            make(
                Severity::Warning,
                Kind::Permissions,
                "su has lost its set-user-ID bit. It makes nobody root.".into(),
                "4755",
            )
        }
        _ => None,
    }
}

fn host_keys(facts: &Facts<'_>) -> Vec<Finding> {
    let state = &facts.health.state;
    let mut found = Vec::new();
    if !state.sshd {
        return found;
    }
    let open: Vec<_> = state
        .host_keys
        .iter()
        .filter(|(_, meta)| {
            meta.mode & 0o077 != 0 && !(meta.mode & 0o077 == 0o040 && meta.gid != 0)
        })
        .collect();
    if let Some((path, meta)) = open.first() {
        found.push(
            Finding::error(Kind::SshKeys, "others can read sshd's private keys. sshd does not use them.")
                .seen(format!("{path} has mode {}", octal(meta.mode)))
                .screen("WARNING: UNPROTECTED PRIVATE KEY FILE! ... sshd: no hostkeys available -- exiting.")
                .fix(Fix::default().inside("chmod 0600 /etc/ssh/ssh_host_*_key")),
        );
    }
    if let Some((path, _)) = state.host_keys.iter().find(|(_, meta)| meta.size == 0) {
        found.push(
            Finding::error(
                Kind::SshKeys,
                "a private key of sshd is empty. sshd may not start.",
            )
            .seen(format!("{path} is empty"))
            .screen("sshd: no hostkeys available -- exiting.")
            .fix(
                Fix::default()
                    .inside(format!("rm {path}"))
                    .inside("ssh-keygen -A"),
            ),
        );
    }
    if state.host_keys.is_empty() && !state.makes_host_keys {
        found.push(
            Finding::error(
                Kind::SshKeys,
                "sshd has no host keys, and nothing here makes them. Nobody gets in by ssh.",
            )
            .seen("no /etc/ssh/ssh_host_*_key")
            .screen("sshd: no hostkeys available -- exiting.")
            .fix(Fix::default().inside("ssh-keygen -A")),
        );
    }
    found
}
