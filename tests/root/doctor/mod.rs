//! The doctor on a real Debian, whole and broken, and on trees made to trap it.

mod apart;
mod cases;
mod debian;
mod disks;
mod families;
mod firmware;
mod hostile;
mod lastboot;
mod layer;
mod marked;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;
use layer::Base;

/// Making the Debian takes its time, and every trial may be the one that makes it.
const PATIENCE: Duration = Duration::from_secs(1800);
const DEBIAN: &[Need] = &[
    Need::Loop,
    Need::Fs("overlay"),
    Need::Command("mmdebstrap"),
    Need::Command("cc"),
    Need::Command("partx"),
    Need::Command("sfdisk"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = vec![
        Trial::new("doctor::an_untouched_debian_is_well", DEBIAN, untouched).timeout(PATIENCE),
        Trial::new("doctor::broken_programs", DEBIAN, broken_programs).timeout(PATIENCE),
        Trial::new("doctor::broken_boot", DEBIAN, broken_boot).timeout(PATIENCE),
        Trial::new("doctor::broken_state", DEBIAN, broken_state).timeout(PATIENCE),
        Trial::new("doctor::worth_a_note", DEBIAN, worth_a_note).timeout(PATIENCE),
        Trial::new("doctor::every_kind_has_a_case", &[], every_kind_has_a_case),
        Trial::new("doctor::quick_says_what_it_left_out", DEBIAN, quick).timeout(PATIENCE),
    ];
    all.extend(apart::trials());
    all.extend(disks::trials());
    all.extend(families::trials());
    all.extend(firmware::trials());
    all.extend(hostile::trials());
    all.extend(lastboot::trials());
    all.extend(marked::trials());
    all
}

/// The report of a target; its exit status says whether there are errors.
pub(super) fn report(target: &Path) -> Value {
    let words = [
        OsStr::new("doctor"),
        OsStr::new("--json"),
        target.as_os_str(),
    ];
    let run = newroot(words).run();
    let report: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
    run.code(i32::from(report["errors"] != 0)).stderr_is("");
    report
}

/// Findings that are more than a note: severity, kind, what.
pub(super) fn grave(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|it| it["severity"] != "note")
        .map(|it| it["kind"].as_str().unwrap().to_string())
        .collect()
}

/// Severity and kind of everything that is found, notes included.
pub(super) fn all(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap();
            (text("severity"), text("kind"))
        })
        .collect()
}

/// The kind of the first finding that is more than a note, and nothing besides.
pub(super) fn is_only(report: &Value, kind: &str) -> Result<(), String> {
    if grave(report) == [kind] {
        return Ok(());
    }
    Err(format!(
        "wanted {kind}, got {:?}\n{:#}",
        grave(report),
        report["findings"]
    ))
}

fn untouched() {
    let base = Base::get();
    let report = report(&base.layer().root);
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
    assert!(report["programs"].as_u64().unwrap() > 900, "{report:#}");
    let report = self::report(&debian::disk());
    assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
}

fn broken_programs() {
    broken(cases::PROGRAMS);
}

fn broken_boot() {
    broken(cases::BOOT);
}

fn broken_state() {
    broken(cases::STATE);
}

fn broken(cases: &[cases::Case]) {
    let base = Base::get();
    let mut wrong = Vec::new();
    for case in cases {
        let layer = base.layer();
        layer.sh(&cases::script(case));
        if let Err(why) = is_only(&report(&layer.root), case.2) {
            wrong.push(format!("--- {}: {why}", case.0));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// Notes, and no more than the one.
fn worth_a_note() {
    let base = Base::get();
    for (name, script, kind) in cases::NOTES {
        let layer = base.layer();
        layer.sh(script);
        let report = report(&layer.root);
        assert_eq!(all(&report), [("note", *kind)], "{name}: {report:#}");
    }
}

/// What the doctor can find is broken somewhere in these tests, and found.
fn every_kind_has_a_case() {
    let tables = [cases::PROGRAMS, cases::BOOT, cases::STATE, cases::NOTES];
    let disks = [disks::CASES, disks::ESP_CASES];
    let pairs = |kinds: &[(&'static str, &'static str)]| -> Vec<&'static str> {
        kinds.iter().map(|(_, kind)| *kind).collect()
    };
    let cases: Vec<&str> = [
        tables.concat().iter().map(|case| case.2).collect(),
        disks.concat().iter().map(|case| case.3).collect(),
        marked::CASES.iter().map(|case| case.kind).collect(),
        firmware::CASES
            .iter()
            .flat_map(|case| pairs(case.4))
            .collect(),
        lastboot::CASES
            .iter()
            .flat_map(|case| pairs(case.3))
            .collect(),
        // By the end of the firmware's trial.
        vec!["fstab-unreliable-name"],
        apart::KINDS.to_vec(),
    ]
    .concat();
    let without: Vec<&str> = newroot::doctor::Kind::ALL
        .iter()
        .map(|kind| kind.word())
        .filter(|word| !cases.contains(word))
        .collect();
    assert!(without.is_empty(), "no case breaks: {without:?}");
}

fn quick() {
    let base = Base::get();
    let layer = base.layer();
    layer.sh("rm usr/lib/x86_64-linux-gnu/libz.so.1*; rm etc/fstab");
    let words = [
        OsStr::new("doctor"),
        OsStr::new("--quick"),
        layer.root.as_os_str(),
    ];
    let run = newroot(words).run();
    run.code(0)
        .stdout_has("programs and libraries (--quick)")
        .stdout_has("files of packages (--quick)")
        .stdout_has("WARN 1: fstab is missing");
}
