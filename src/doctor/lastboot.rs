//! What the last boot left: its journal, and what the kernel said when it died.

use super::{Facts, Finding, Fix, Kind, list};
use crate::doctor::fixes::Task;
use crate::probe::health::journal::Line;
use crate::probe::lastboot::show;

/// So many lines are shown.
const SHOWN: usize = 4;

pub(super) fn find(facts: &Facts<'_>) -> Vec<Finding> {
    let log = &facts.health.last;
    let mut found = Vec::new();
    let ended = format!("journal of the last boot, until {}", show(log.ended));
    if let Some(line) = &log.emergency {
        let mut finding = Finding::warning(Kind::EmergencyMode, "the last boot ended in emergency mode.")
            .seen(format!("{ended}: \"{}\"", line.message))
            .screen("You are in emergency mode.")
            .fix(Fix::advice("see what failed before it, in this report or with: journalctl --directory /var/log/journal -b -p err"));
        for line in log.errors.iter().filter(|line| failed(line)).take(SHOWN) {
            finding = finding.seen(quote(line));
        }
        found.push(finding);
    }
    let read_only: Vec<&Line> = log
        .errors
        .iter()
        .filter(|line| is_kernel(line) && is_damage(&line.message))
        .collect();
    if let Some(last) = read_only.last() {
        let mut finding = Finding::error(
            Kind::ReadOnly,
            "the kernel found a damaged filesystem or disk during the last boot.",
        )
        .screen(last.message.clone())
        .fix(
            Fix::task(Task::Fsck)
                .or("check the filesystem unmounted; look at the disk with: smartctl -a"),
        );
        for line in read_only.iter().take(SHOWN) {
            finding = finding.seen(quote(line));
        }
        found.push(finding);
    }
    let pstore = &facts.health.state.pstore;
    if !pstore.is_empty() {
        found.push(
            Finding::warning(
                Kind::Panic,
                "the kernel crashed, and its last words were kept.",
            )
            .seen(list(
                pstore.iter().take(SHOWN).map(ToString::to_string),
                pstore.len(),
            ))
            .fix(Fix::advice(
                "read them; delete them when they are explained",
            )),
        );
    }
    let units: Vec<&Line> = log.errors.iter().filter(|line| failed(line)).collect();
    if !units.is_empty() && log.emergency.is_none() {
        let mut finding =
            Finding::note(Kind::FailedUnits, "units failed in the last boot.").seen(ended);
        for line in units.iter().rev().take(SHOWN) {
            finding = finding.seen(quote(line));
        }
        found.push(finding);
    }
    let others: Vec<&Line> = log.errors.iter().filter(|line| !failed(line)).collect();
    if !others.is_empty() && read_only.is_empty() {
        let mut finding =
            Finding::note(Kind::LastBootErrors, "the last boot's journal has errors.");
        for line in others.iter().rev().take(SHOWN) {
            finding = finding.seen(quote(line));
        }
        found.push(finding);
    }
    found
}

fn is_kernel(line: &Line) -> bool {
    line.source == "kernel"
}

fn is_damage(message: &str) -> bool {
    const WORDS: &[&str] = &[
        "Remounting filesystem read-only",
        "EXT4-fs error",
        "I/O error, dev",
        "Buffer I/O error",
        "forced readonly",
        "XFS (",
        "Corruption",
        "critical medium error",
        "BTRFS error",
        "BTRFS critical",
    ];
    WORDS.iter().any(|word| message.contains(word))
        && (!message.contains("XFS (") || message.contains("orruption"))
}

fn failed(line: &Line) -> bool {
    line.source == "systemd"
        && [
            "Failed to start",
            "Failed to mount",
            "Dependency failed",
            "Timed out waiting for",
            "Failed to activate",
        ]
        .iter()
        .any(|word| line.message.contains(word))
}

pub(super) fn quote(line: &Line) -> String {
    let seconds = i64::try_from(line.when / 1_000_000).unwrap_or(0);
    let text: String = line.message.chars().take(160).collect();
    let time = show(seconds);
    let time = time.split(' ').next_back().unwrap_or_default().to_string();
    format!("{time} {}: \"{text}\"", line.source)
}
