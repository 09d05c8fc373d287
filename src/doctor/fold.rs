//! One cause, one finding: what a cause further up explains is taken out, and what it adds is
//! kept as something that was seen.

use super::{Facts, Finding, Kind, Severity};

/// Findings come sorted, root causes first.
pub(super) fn fold(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    if findings.iter().any(|it| it.kind == Kind::UsrEmpty) {
        findings.retain(|it| !explained_by_usr(it.kind));
    }
    if findings.iter().any(|it| it.kind == Kind::UsrMerge) {
        findings.retain(|it| !explained_by_links(it.kind));
    }
    by_package(facts, findings);
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

/// Which package a finding about files blames, from its words: the rules name it in the line
/// that was seen.
fn package(finding: &Finding) -> Option<String> {
    let named = |text: &str| {
        let rest = text.split_once("package ")?.1;
        let name: String = rest.chars().take_while(|c| !c.is_whitespace() && *c != ',').collect();
        (!name.is_empty()).then_some(name)
    };
    let lines = std::iter::once(&finding.what).chain(&finding.seen);
    lines.filter_map(|line| named(line)).next().map(|name| name.trim_end_matches('.').to_string())
}

/// The files of one package are missed by many: its loader, its libraries, its list.
fn by_package(facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let about_files = |kind: Kind| {
        matches!(
            kind,
            Kind::LoaderMissing | Kind::LibraryMissing | Kind::LibraryDamaged | Kind::LibraryVersion | Kind::ProgramDamaged | Kind::PackageFiles
        )
    };
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let blamed = about_files(finding.kind).then(|| package(&finding)).flatten();
        let cause = blamed.and_then(|name| {
            kept.iter_mut().find(|it| about_files(it.kind) && package(it).as_ref() == Some(&name))
        });
        match cause {
            Some(cause) if finding.kind == Kind::PackageFiles => {
                cause.seen.push(format!("{} {}", finding.what.trim_end_matches('.'), names(&finding)));
            }
            Some(cause) => cause.seen.push(finding.what),
            None => kept.push(finding),
        }
    }
    *findings = kept;
    // Files that another finding names by path.
    let shell_broken = findings.iter().any(|it| it.kind == Kind::Shell);
    let named: Vec<String> = findings.iter().filter(|it| it.kind != Kind::PackageFiles).flat_map(|it| it.seen.clone()).collect();
    findings.retain(|it| {
        it.kind != Kind::PackageFiles
            || !it.seen.iter().flat_map(|line| line.split(", ")).any(|path| {
                let path = path.trim();
                let explained = shell_broken && (path.ends_with("/sh") || path.ends_with("/dash") || path.ends_with("/bash"));
                path.len() > 8 && (explained || named.iter().any(|line| line.contains(path)))
            })
    });
    drop_boot_files(facts, findings);
}

fn names(finding: &Finding) -> String {
    finding.seen.first().map(|names| format!("({names})")).unwrap_or_default()
}

/// The kernel's own package lists /boot/vmlinuz and its modules: what the boot findings say.
fn drop_boot_files(_facts: &Facts<'_>, findings: &mut Vec<Finding>) {
    let boot = findings.iter().any(|it| matches!(it.kind, Kind::KernelMissing | Kind::KernelDamaged | Kind::ModulesMissing | Kind::LoaderConfigFile));
    findings.retain(|it| {
        it.kind != Kind::PackageFiles
            || !boot
            || !it.seen.iter().any(|line| line.contains("/boot/vmlinuz") || line.contains("/lib/modules/") || line.contains("/boot/System.map") || line.contains("/boot/config-"))
    });
}

fn by_preload(findings: &mut Vec<Finding>) {
    let missing: Vec<String> = findings.iter().filter(|it| it.kind == Kind::Preload).flat_map(|it| it.seen.clone()).collect();
    findings.retain(|it| {
        it.kind != Kind::LibraryMissing
            || !missing.iter().any(|line| it.what.split_whitespace().nth(2).is_some_and(|name| line.contains(name)))
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
        .filter(|it| matches!(it.kind, Kind::InitramfsMissing | Kind::InitramfsDamaged | Kind::KernelDamaged))
        .flat_map(|it| it.seen.clone())
        .collect();
    if !initramfs.is_empty() {
        // The menu names the file that is missing: the same trouble again.
        findings.retain(|it| it.kind != Kind::LoaderConfigFile || !it.seen.iter().all(|line| line.contains("initr")));
    }
    if has(findings, Kind::LoaderConfigFile) {
        findings.retain(|it| it.kind != Kind::InitramfsAlone);
    }
    if has(findings, Kind::LoaderDamaged) {
        findings.retain(|it| it.kind != Kind::LoaderConfigMissing || it.severity != Severity::Error);
    }
}

/// fstab and the boot loader that name the same wrong device; the journal that says so.
fn by_device(findings: &mut Vec<Finding>) {
    let missing: Vec<String> = findings.iter().filter(|it| it.kind == Kind::FstabDevice).map(|it| it.what.split_whitespace().next().unwrap_or_default().to_string()).collect();
    for finding in findings.iter_mut().filter(|it| it.kind == Kind::EmergencyMode) {
        if missing.iter().any(|path| finding.seen.iter().any(|line| line.contains(path.as_str()))) {
            finding.severity = Severity::Note;
        }
    }
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
}

/// root's shell is /bin/sh or what /bin/sh leads to.
fn by_shell(findings: &mut Vec<Finding>) {
    let broken = findings.iter().any(|it| matches!(it.kind, Kind::Shell | Kind::LoaderMissing));
    if broken {
        findings.retain(|it| it.kind != Kind::RootShell || !it.what.contains("/bin/sh,"));
    }
    // A shell whose program is damaged.
    let shell = findings.iter().any(|it| it.kind == Kind::Shell);
    if shell {
        findings.retain(|it| it.kind != Kind::ProgramDamaged || !it.what.contains("sh is damaged"));
    }
}
