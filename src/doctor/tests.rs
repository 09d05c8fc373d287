//! One cause is one finding.

use super::fold::fold;
use super::{Finding, Fix, Kind, Severity};

fn about(kind: Kind, package: &str, files: &[&str]) -> Finding {
    let package = (!package.is_empty()).then_some(package);
    let what = format!("{}: {}", kind.word(), files.join(" "));
    let finding = Finding::error(kind, what).package(package);
    files
        .iter()
        .fold(finding, |finding, file| finding.file(file))
}

/// What is left of findings, by kind.
fn left(mut findings: Vec<Finding>) -> Vec<Kind> {
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
    fold(&mut findings);
    findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn causes_take_out_what_they_explain() {
    let libc = "libc6";
    let loader = "/lib/ld-linux.so.2";
    let table: &[(&str, Vec<Finding>, &[Kind])] = &[
        (
            "an empty /usr",
            vec![
                about(Kind::UsrEmpty, "", &[]),
                about(Kind::Shell, "", &["/bin/sh"]),
                about(Kind::LoaderMissing, libc, &[loader]),
                about(Kind::FstabDevice, "", &[]),
            ],
            &[Kind::UsrEmpty, Kind::FstabDevice],
        ),
        (
            "one package's files",
            vec![
                about(Kind::LoaderMissing, libc, &[loader]),
                about(Kind::LibraryMissing, libc, &["/lib/libc.so.6"]),
                about(Kind::PackageFiles, libc, &[loader, "/lib/libc.so.6"]),
            ],
            &[Kind::LoaderMissing],
        ),
        (
            "two packages' files",
            vec![
                about(Kind::LibraryMissing, libc, &["/lib/libc.so.6"]),
                about(Kind::LibraryMissing, "zlib1g", &["/lib/libz.so.1"]),
            ],
            &[Kind::LibraryMissing, Kind::LibraryMissing],
        ),
        (
            "a list says /bin, a link /usr/bin",
            vec![
                about(Kind::Shell, "", &["/bin/sh", "/usr/bin/dash"]),
                about(Kind::PackageFiles, "dash", &["/bin/dash"]),
            ],
            &[Kind::Shell],
        ),
        (
            "a module by its name alone",
            vec![
                about(Kind::PackageFiles, "", &["/lib/security/pam_unix.so"]),
                about(Kind::Pam, "", &["pam_unix.so"]),
            ],
            &[Kind::Pam],
        ),
        (
            "a name that only ends alike",
            vec![
                about(Kind::PackageFiles, "", &["/lib/security/my_pam_unix.so"]),
                about(Kind::Pam, "", &["pam_unix.so"]),
            ],
            &[Kind::PackageFiles, Kind::Pam],
        ),
        (
            "modules in the directory that is missing",
            vec![
                about(
                    Kind::PackageFiles,
                    "linux",
                    &["/lib/modules/6.1/kernel/a.ko"],
                ),
                about(Kind::ModulesMissing, "", &["/usr/lib/modules/6.1"]),
            ],
            &[Kind::ModulesMissing],
        ),
        (
            "a disk that fails",
            vec![
                about(Kind::Unreadable, "", &["/usr/lib/x"]),
                about(Kind::LibraryMissing, "a", &["/lib/x/liba.so"]),
                about(Kind::LibraryMissing, "b", &["/lib/y/libb.so"]),
            ],
            &[Kind::Unreadable, Kind::LibraryMissing],
        ),
        (
            "root's shell is the broken one",
            vec![
                about(Kind::Shell, "", &["/bin/sh"]),
                about(Kind::RootShell, "", &["/bin/sh"]),
            ],
            &[Kind::Shell],
        ),
        (
            "no kernel, and a menu that names it",
            vec![
                about(Kind::KernelMissing, "", &[]),
                about(Kind::LoaderConfigFile, "", &[]),
                about(Kind::InitramfsAlone, "", &[]),
            ],
            &[Kind::KernelMissing],
        ),
    ];
    for (name, findings, wanted) in table {
        assert_eq!(left(findings.clone()), *wanted, "{name}");
    }
}

#[test]
fn what_others_said_is_kept() {
    let mut findings = vec![
        about(Kind::LibraryMissing, "libc6", &["/lib/libc.so.6"]),
        about(Kind::PackageFiles, "libc6", &["/lib/libm.so.6"]).seen("/lib/libm.so.6"),
    ];
    fold(&mut findings);
    assert!(
        findings[0].seen[0].contains("/lib/libm.so.6"),
        "{findings:?}"
    );
}

#[test]
fn the_journals_words_go_with_the_device() {
    let device = |path: &str| Finding::error(Kind::FstabDevice, format!("{path} has no device."));
    let emergency = Finding::warning(
        Kind::EmergencyMode,
        "the last boot ended in emergency mode.",
    )
    .seen("22:12 systemd: \"Dependency failed for /data.\"");
    let mut findings = vec![device("/data"), device("/dat"), device("/"), emergency];
    fold(&mut findings);
    let quoted: Vec<usize> = findings.iter().map(|it| it.seen.len()).collect();
    assert_eq!(quoted, [1, 0, 0, 1], "{findings:?}");
    assert!(findings[0].seen[0].contains("the last boot, 22:12"));
    assert_eq!(findings[3].severity, Severity::Note);
    let mut others = vec![device("/database"), findings[3].clone()];
    others[1].severity = Severity::Warning;
    fold(&mut others);
    assert_eq!(others[1].severity, Severity::Warning);
}

#[test]
fn words_of_kinds_are_unique_and_fixes_begin_empty() {
    let mut words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
    words.sort_unstable();
    let all = words.len();
    words.dedup();
    assert_eq!(words.len(), all);
    let finding = Finding::new(Severity::Note, Kind::Hibernated, "x");
    assert_eq!(finding.fix, Fix::default());
}
