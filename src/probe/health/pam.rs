//! PAM: a service that names a module which is not there lets nobody in.

use std::collections::BTreeSet;

use super::accounts::{AccountFacts, Lines, PamGap, text};
use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// What people log in through.
const SERVICES: &[&str] = &[
    "login",
    "sshd",
    "su",
    "sudo",
    "system-login",
    "system-auth",
    "common-auth",
    "common-account",
    "common-session",
    "common-password",
    "base-auth",
    "base-account",
];
const MOST_GAPS: usize = 6;
const MOST_FILES: usize = 64;

/// Reads the services of /etc/pam.d (and of /usr/lib/pam.d, which stands behind it).
pub(super) fn look(tree: &dyn Tree, facts: &mut AccountFacts) {
    let directories = module_directories(tree);
    // Without libpam's own modules there is no PAM here.
    if directories.is_empty() {
        return;
    }
    let uses_pam = runs_pam(tree);
    let there = SERVICES.iter().any(|name| file_of(tree, name).is_some());
    facts.pam_gone = uses_pam && !there && file_of(tree, "other").is_none();
    let mut pending: Vec<String> = SERVICES.iter().map(ToString::to_string).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if seen.len() >= MOST_FILES || !seen.insert(name.clone()) {
            continue;
        }
        let Some(file) = file_of(tree, &name) else {
            continue;
        };
        let bytes = text(tree, &file.to_string(), &mut Lines::default());
        for (line, module) in modules(&bytes, &mut pending) {
            let there = if module.starts_with('/') {
                root::is_file(tree, &RootPath::new(&module))
            } else {
                directories
                    .iter()
                    .any(|base| root::is_file(tree, &base.join(&module)))
            };
            if !there && facts.pam.len() < MOST_GAPS {
                facts.pam.push(PamGap {
                    file: file.clone(),
                    line,
                    module,
                });
            }
        }
    }
}

fn runs_pam(tree: &dyn Tree) -> bool {
    [
        "/etc/pam.conf",
        "/usr/share/pam-configs",
        "/usr/sbin/pam-auth-update",
        "/etc/login.defs",
    ]
    .iter()
    .any(|path| tree.stat(&RootPath::new(path)).is_ok())
}

fn file_of(tree: &dyn Tree, name: &str) -> Option<RootPath> {
    ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"]
        .iter()
        .map(|base| RootPath::new(base).join(name))
        .find(|path| root::is_file(tree, path))
}

/// The directories named `security` beside libpam.
fn module_directories(tree: &dyn Tree) -> Vec<RootPath> {
    let mut bases: Vec<RootPath> = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"]
        .iter()
        .map(RootPath::new)
        .collect();
    for base in ["/lib", "/usr/lib"] {
        let base = RootPath::new(base);
        let names = tree.list(&base).unwrap_or_default();
        let multiarch = names
            .iter()
            .filter(|name| name.to_string_lossy().contains("-linux-"));
        bases.extend(multiarch.map(|name| base.join(name)));
    }
    bases
        .iter()
        .map(|base| base.join("security"))
        .filter(|path| {
            tree.stat(path)
                .is_ok_and(|meta| meta.kind == Kind::Directory)
        })
        .collect()
}

/// Modules without which the service fails, with their lines; included services go to `pending`.
fn modules(bytes: &[u8], pending: &mut Vec<String>) -> Vec<(usize, String)> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().take(1000) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix("@include") {
            pending.push(name.trim().to_string());
            continue;
        }
        // A dash before the type: the module may be absent.
        if line.is_empty() || line.starts_with('-') {
            continue;
        }
        let Some((_, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let rest = rest.trim_start();
        let (control, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((control, rest)) => (control, rest),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        let module = rest.split_whitespace().next().unwrap_or_default();
        match control {
            "include" | "substack" => pending.push(module.to_string()),
            "optional" => {}
            _ if !module.is_empty() => found.push((at + 1, module.to_string())),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_modules_and_includes_are_found() {
        let text = b"# c\nauth required pam_a.so x\n-auth required pam_b.so\nauth optional pam_c.so\n\
            @include common-auth\nauth [success=1 default=ignore] pam_d.so y\nauth substack system-auth\n";
        let mut pending = Vec::new();
        let names: Vec<String> = modules(text, &mut pending)
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(names, ["pam_a.so", "pam_d.so"]);
        assert_eq!(pending, ["common-auth", "system-auth"]);
    }
}
