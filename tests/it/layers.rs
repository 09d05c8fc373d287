//! The house rule "who may import whom" (design section 1), checked against the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `(module, what it may import, whole modules or one of their items)`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("cli", &["cli", "model", "error"]),
    (
        "ui",
        &[
            "ui",
            "cli",
            "model",
            "error",
            "plan",
            "elf",
            "profile",
            "probe",
            "session",
            "doctor",
            "exec::Events",
        ],
    ),
    ("plan", &["plan", "model", "elf", "probe", "profile"]),
    ("doctor", &["doctor", "model", "elf", "probe", "profile"]),
    ("elf", &["elf", "root", "model"]),
    ("probe", &["probe", "elf", "root", "sys", "tool", "model"]),
    ("profile", &["profile", "root", "model"]),
    (
        "exec",
        &["exec", "plan", "session", "root", "sys", "tool", "model"],
    ),
    ("root", &["root", "sys", "model"]),
    ("tool", &["tool", "sys", "model"]),
    ("session", &["session", "root", "sys", "model"]),
    ("image", &["image", "root", "sys", "tool", "model"]),
    ("sys", &["sys", "model"]),
    ("model", &["model"]),
    ("error", &["error", "model"]),
    // The build script: part of no program.
    ("link", &[]),
];

/// Modules that must stay pure: no file, no process, no system call of their own.
const PURE: &[&str] = &["plan", "doctor", "elf", "cli", "model"];

fn sources(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn files() -> Vec<(String, PathBuf, String)> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&base, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&base).unwrap();
            let module = inside.iter().next().unwrap().to_str().unwrap();
            let module = module.strip_suffix(".rs").unwrap_or(module).to_string();
            let text = fs::read_to_string(&path).unwrap();
            (module, path, text)
        })
        .collect()
}

/// `a::b` for every `crate::a::b` in code (comments and unit tests left out).
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
    {
        let code = line.split("//").next().unwrap_or("");
        for piece in code.split("crate::").skip(1) {
            let name: String = piece
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            found.insert(name.trim_end_matches(':').to_string());
        }
    }
    found
}

#[test]
fn modules_import_only_what_the_house_allows() {
    let mut wrong = Vec::new();
    for (module, path, text) in files() {
        if ["main", "lib", "cmd"].contains(&module.as_str()) {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("module {module} is not in the table"));
        for import in imports(&text) {
            let ok = allowed
                .iter()
                .any(|rule| import == *rule || import.starts_with(&format!("{rule}::")));
            if !ok {
                wrong.push(format!("{}: crate::{import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_touch_nothing() {
    let mut wrong = Vec::new();
    for (module, path, text) in files() {
        if !PURE.contains(&module.as_str()) {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for forbidden in [
            "std::fs",
            "std::process",
            "std::net",
            "rustix::",
            "libc::",
            "nix::",
        ] {
            // The elf module may name errnos that a Tree returned.
            let code = code.replace("rustix::io::Errno", "");
            let named = code.match_indices(forbidden).any(|(at, _)| {
                // `os::unix::` and `glibc::` end like crates they are not.
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            if named {
                wrong.push(format!("{}: {forbidden}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_lives_in_sys_only() {
    for (module, path, text) in files() {
        if module != "sys" {
            let found = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or("");
                code.contains("unsafe {")
                    || code.contains("unsafe fn")
                    || code.contains("unsafe_code")
            });
            assert!(!found, "{}: unsafe outside sys", path.display());
        }
    }
}

/// `cmd` may do everything, but it must not print past `ui` or call the kernel past `sys`.
#[test]
fn cmd_does_not_call_the_kernel() {
    for (module, path, text) in files() {
        if module == "cmd" {
            assert!(!text.contains("libc::"), "{}", path.display());
        }
    }
}
