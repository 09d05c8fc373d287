//! One cause, one finding: what a cause further up explains is taken out, and what it adds is
//! kept as something that was seen.

use super::{Finding, Kind, Severity};

/// Findings come sorted, root causes first.
pub(super) fn fold(findings: &mut Vec<Finding>) {
    if findings.iter().any(|it| it.kind == Kind::UsrEmpty) {
        findings.retain(|it| !explained_by_usr(it.kind));
    }
    if findings.iter().any(|it| it.kind == Kind::UsrMerge) {
        findings.retain(|it| !explained_by_links(it.kind));
    }
    by_disk(findings);
    by_package(findings);
    by_file(findings);
    by_preload(findings);
    by_kernel(findings);
    by_device(findings);
    by_shell(findings);
    findings.dedup_by(|later, earlier| later.kind == earlier.kind && later.what == earlier.what);
}

/// Nothing is where it is looked for.
fn explained_by_usr(kind: Kind) -> bool {
    explained_by_links(kind) || matches!(kind, Kind::Passwd | Kind::MachineId | Kind::Permissions)
}

fn explained_by_links(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LoaderMissing
            | Kind::LibraryMissing
            | Kind::LibraryDamaged
            | Kind::LibraryVersion
            | Kind::Preload
            | Kind::Shell
            | Kind::Init
            | Kind::RootShell
            | Kind::Pam
            | Kind::PackageFiles
            | Kind::ProgramDamaged
            | Kind::ModulesMissing
            | Kind::Directories
    )
}

/// About the files of a package.
fn is_about_files(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::LoaderMissing
            | Kind::LibraryMissing
            | Kind::LibraryDamaged
            | Kind::LibraryVersion
            | Kind::ProgramDamaged
            | Kind::PackageFiles
    )
}

/// The files of one package are missed by many: its loader, its libraries, its list. The first
/// finding stands for all, and says what the others said.
fn by_package(findings: &mut Vec<Finding>) {
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let cause = kept.iter_mut().find(|it| {
            is_about_files(it.kind)
                && is_about_files(finding.kind)
                && finding.package.is_some()
                && it.package == finding.package
        });
        match cause {
            Some(cause) if finding.kind == Kind::PackageFiles => {
                let names = finding.seen.first().cloned().unwrap_or_default();
                cause
                    .seen
                    .push(format!("{} {names}", finding.what.replace('.', ":")));
            }
            Some(cause) => cause.seen.push(finding.what),
            None => kept.push(finding),
        }
    }
    *findings = kept;
}

/// Without the `/usr` of a merged system: package lists say /bin/dash, links lead to
/// /usr/bin/dash.
fn plain(path: &str) -> &str {
    let rest = path.strip_prefix("/usr").unwrap_or(path);
    let merged = ["/bin/", "/sbin/", "/lib"];
    if merged.iter().any(|base| rest.starts_with(base)) {
        rest
    } else {
        path
    }
}

/// Whether a file is the named one or lies below it; a name without a directory is a library's.
fn is_named(file: &str, name: &str) -> bool {
    let (file, name) = (plain(file), plain(name));
    let rest = file.strip_suffix(name);
    let by_name = !name.is_empty() && !name.starts_with('/');
    file == name
        || by_name && rest.is_some_and(|rest| rest.ends_with('/'))
        || file
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// What cannot be read is missed by whoever needs it, and is damaged for whoever looks at it.
fn by_disk(findings: &mut Vec<Finding>) {
    let unread: Vec<String> = findings
        .iter()
        .filter(|it| it.kind == Kind::Unreadable)
        .flat_map(|it| it.files.clone())
        .collect();
    findings.retain(|it| {
        let about = |file: &String| unread.iter().any(|name| is_named(file, name));
        !explained_by_links(it.kind) || !it.files.iter().any(about)
    });
}

/// A list of files that another finding, of whatever kind, is about.
fn by_file(findings: &mut Vec<Finding>) {
    let named: Vec<String> = findings
        .iter()
        .filter(|it| it.kind != Kind::PackageFiles)
        .flat_map(|it| it.files.clone())
        .collect();
    findings.retain(|it| {
        let about = |file: &String| named.iter().any(|name| is_named(file, name));
        it.kind != Kind::PackageFiles || !it.files.iter().any(about)
    });
}

fn by_preload(findings: &mut Vec<Finding>) {
    let missing: Vec<String> = findings
        .iter()
        .filter(|it| it.kind == Kind::Preload)
        .flat_map(|it| it.files.clone())
        .collect();
    findings.retain(|it| {
        it.kind != Kind::LibraryMissing || !it.files.iter().any(|file| missing.contains(file))
    });
}

/// A kernel that is damaged or gone explains what the menu misses, and an initramfs without it.
fn by_kernel(findings: &mut Vec<Finding>) {
    let has = |findings: &[Finding], kind: Kind| findings.iter().any(|it| it.kind == kind);
    if has(findings, Kind::KernelMissing) {
        findings.retain(|it| !matches!(it.kind, Kind::InitramfsAlone | Kind::LoaderConfigFile));
    }
    let initramfs: Vec<String> = findings
        .iter()
        .filter(|it| {
            matches!(
                it.kind,
                Kind::InitramfsMissing | Kind::InitramfsDamaged | Kind::KernelDamaged
            )
        })
        .flat_map(|it| it.seen.clone())
        .collect();
    if !initramfs.is_empty() {
        // The menu names the file that is missing: the same trouble again.
        findings.retain(|it| {
            it.kind != Kind::LoaderConfigFile || !it.seen.iter().all(|line| line.contains("initr"))
        });
    }
    if has(findings, Kind::LoaderConfigFile) {
        findings.retain(|it| it.kind != Kind::InitramfsAlone);
    }
    if has(findings, Kind::LoaderDamaged) {
        findings
            .retain(|it| it.kind != Kind::LoaderConfigMissing || it.severity != Severity::Error);
    }
}

/// A device that fstab misses, and the last boot that says so: the journal's words are shown with
/// the device, and an emergency mode that it explains is no trouble of its own.
fn by_device(findings: &mut [Finding]) {
    let said: Vec<String> = findings
        .iter()
        .filter(|it| matches!(it.kind, Kind::EmergencyMode | Kind::FailedUnits))
        .flat_map(|it| it.seen.iter().filter(|line| line.contains(": \"")).cloned())
        .collect();
    let mut missing = Vec::new();
    let is_missing = |it: &&mut Finding| it.kind == Kind::FstabDevice;
    for finding in findings.iter_mut().filter(is_missing) {
        let path = finding.what.split(' ').next().unwrap_or_default();
        let path = path.to_string();
        let quote = said.iter().find(|line| names(line, &path));
        let quote = quote.map(|line| format!("the last boot, {line}"));
        finding.seen.extend(quote);
        missing.push(path);
    }
    let is_emergency = |it: &&mut Finding| it.kind == Kind::EmergencyMode;
    for finding in findings.iter_mut().filter(is_emergency) {
        let explained = |path: &String| finding.seen.iter().any(|line| names(line, path));
        if missing.iter().any(explained) {
            finding.severity = Severity::Note;
        }
    }
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
}

/// Whether `line` has this path as a word: `/data` is not in `/database`.
fn names(line: &str, path: &str) -> bool {
    let is_end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || "/-_".contains(c));
    path.starts_with('/')
        && line
            .match_indices(path)
            .any(|(at, _)| is_end(&line[at + path.len()..]))
}

/// root's shell is /bin/sh, or the program that it leads to.
fn by_shell(findings: &mut Vec<Finding>) {
    let broken = findings
        .iter()
        .any(|it| matches!(it.kind, Kind::Shell | Kind::LoaderMissing));
    let shell: Vec<String> = findings
        .iter()
        .filter(|it| it.kind == Kind::Shell)
        .flat_map(|it| it.files.clone())
        .collect();
    findings.retain(|it| {
        let is_shell = it.files.iter().any(|file| shell.contains(file));
        !(broken
            && it.kind == Kind::RootShell
            && (is_shell || it.files.iter().any(|file| file == "/bin/sh")))
            && !(it.kind == Kind::ProgramDamaged && is_shell)
    });
}
