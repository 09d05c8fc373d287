//! The report for programs. Names are raw here (JSON escapes them).

use serde_json::{Value, json};

use super::Shown;
use crate::doctor::fixes::Where;
use crate::doctor::{Finding, Severity};

/// Everything that was found.
#[must_use]
pub fn json(shown: &Shown<'_>) -> Value {
    let system = shown.system;
    let report = shown.report;
    json!({
        "system": {
            "id": system.id,
            "hostname": system.facts.hostname,
            "os": system.facts.os.short(),
            "arch": system.facts.arch,
        },
        "errors": report.count(Severity::Error),
        "warnings": report.count(Severity::Warning),
        "notes": report.count(Severity::Note),
        "programs": report.programs,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "not_checked": report.unchecked.iter().map(|(what, why)| json!({"what": what, "why": why})).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let commands = finding.fix.commands.iter().map(|command| {
        let place = match command.place {
            Where::Inside => "inside",
            Where::Outside => "outside",
        };
        json!({"where": place, "command": command.line})
    });
    json!({
        "severity": finding.severity.word(),
        "kind": finding.kind.word(),
        "what": finding.what,
        "seen": finding.seen,
        "screen": finding.screen,
        "package": finding.package,
        "files": finding.files,
        "fix": {
            "task": finding.fix.task.map(|task| task.word()),
            "advice": finding.fix.advice,
            "commands": commands.collect::<Vec<_>>(),
        },
    })
}
