//! The last boot: journals as systemd writes them, laid into the Debian.

use std::fs;
use std::process::Command;

use super::layer::Base;
use super::{DEBIAN, PATIENCE, all, report};
use crate::need::Need;
use crate::trial::Trial;

const REMOTE: &str = "/usr/lib/systemd/systemd-journal-remote";
/// The Debian's machine id.
const ID: &str = "0123456789abcdef0123456789abcdef";
/// 2026-11-20, in microseconds.
const WHEN: u64 = 1_795_132_800_000_000;

pub(super) fn trials() -> Vec<Trial> {
    let needs = [DEBIAN, &[Need::File(REMOTE)]].concat();
    vec![Trial::new("doctor::last_boots", &needs, last_boots).timeout(PATIENCE)]
}

/// Who, priority, unit, what; a line of the journal.
type Line = (&'static str, u8, &'static str, &'static str);
/// Name, when it ended, the journal, the severity and kind of all that is found.
type Case = (
    &'static str,
    u64,
    &'static [Line],
    &'static [(&'static str, &'static str)],
);

pub(super) const CASES: &[Case] = &[
    (
        "a boot without a word",
        WHEN,
        &[("systemd", 6, "", "Startup finished in 4.2s.")],
        &[],
    ),
    (
        "emergency mode",
        WHEN,
        &[
            (
                "systemd",
                3,
                "dev-disk.device",
                "Timed out waiting for device /dev/disk/by-uuid/77c1.",
            ),
            (
                "systemd",
                3,
                "data.mount",
                "Dependency failed for data.mount - /data.",
            ),
            (
                "systemd",
                6,
                "emergency.target",
                "Reached target emergency.target - Emergency Mode.",
            ),
        ],
        &[("warning", "emergency-mode")],
    ),
    (
        "a disk that failed",
        WHEN,
        &[
            (
                "kernel",
                3,
                "",
                "I/O error, dev sda, sector 123456 op 0x0:(READ) flags 0x80700",
            ),
            (
                "kernel",
                2,
                "",
                "EXT4-fs error (device sda2): ext4_lookup:1857: inode #2: comm ls: iget: checksum invalid",
            ),
            (
                "kernel",
                2,
                "",
                "EXT4-fs (sda2): Remounting filesystem read-only",
            ),
        ],
        &[("error", "read-only-remount")],
    ),
    (
        "a unit that failed",
        WHEN,
        &[(
            "systemd",
            3,
            "nginx.service",
            "Failed to start nginx.service - A web server.",
        )],
        &[("note", "failed-units")],
    ),
    (
        "a service that complains",
        WHEN,
        &[(
            "sshd",
            3,
            "",
            "error: Bind to port 22 on 0.0.0.0 failed: Address in use.",
        )],
        &[("note", "last-boot-errors")],
    ),
    (
        "a clock that is years ahead",
        2 * WHEN,
        &[("systemd", 6, "", "Startup finished in 4.2s.")],
        &[("warning", "clock")],
    ),
];

fn export(ended: u64, lines: &[Line]) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim().replace('-', "");
    let mut text = String::new();
    for (number, (source, priority, unit, message)) in lines.iter().enumerate() {
        let when = ended + number as u64;
        text.push_str(&format!(
            "__REALTIME_TIMESTAMP={when}\n__MONOTONIC_TIMESTAMP={number}000\n_BOOT_ID={boot}\n\
             SYSLOG_IDENTIFIER={source}\nPRIORITY={priority}\nMESSAGE={message}\n"
        ));
        if !unit.is_empty() {
            text.push_str(&format!("UNIT={unit}\n"));
        }
        text.push('\n');
    }
    text
}

fn last_boots() {
    let base = Base::get();
    let mut wrong = Vec::new();
    for (name, ended, lines, kinds) in CASES {
        let layer = base.layer();
        let directory = layer.root.join("var/log/journal").join(ID);
        fs::create_dir_all(&directory).unwrap();
        fs::write("/tmp/in.export", export(*ended, lines)).unwrap();
        let output = Command::new(REMOTE)
            .arg("-o")
            .arg(directory.join("system.journal"))
            .arg("/tmp/in.export")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let report = report(&layer.root);
        let found = all(&report);
        let text = report["findings"].to_string();
        // What the journal says is shown, with its time.
        let quoted = kinds.is_empty()
            || kinds[0].1 == "clock"
            || lines
                .iter()
                .any(|(_, _, _, message)| text.contains(message));
        if found != *kinds || !quoted {
            wrong.push(format!("--- {name}: {found:?}\n{:#}", report["findings"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
