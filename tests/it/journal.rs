//! The journal's reader against journalctl(1), on files that systemd itself wrote.

use std::fs;
use std::path::Path;
use std::process::Command;

use newroot::model::HostPath;
use newroot::probe::health::journal::{LastBootLog, Line, look};
use newroot::root::InRoot;
use serde_json::Value;

use crate::support::{Need, need};

const REMOTE: &str = "/usr/lib/systemd/systemd-journal-remote";
const ID: &str = "0123456789abcdef0123456789abcdef";
/// The boot before; the last one is this machine's, since systemd-journal-remote before 254 writes
/// that into the header whatever it is given.
const BEFORE: &str = "11111111111111111111111111111111";
/// The last errors of each priority that are kept.
const KEPT: usize = 40;
/// COMPRESSED-XZ, -LZ4 and -ZSTD, in an object's flags and in the header's.
const ZSTD: (u8, u8) = (4, 8);

fn this_boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    id.trim().replace('-', "")
}

/// 900 entries in the Journal Export Format, a third of them of the boot before.
fn entries() -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..900_usize {
        let boot = if number < 300 {
            BEFORE.to_string()
        } else {
            this_boot()
        };
        let source = ["kernel", "systemd", "sshd"][number % 3];
        text.extend(
            format!(
                "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={number}000\n_BOOT_ID={boot}\nPRIORITY={}\n",
                1_700_000_000_000_000 + number * 1_000_000,
                number % 8
            )
            .bytes(),
        );
        let field = if number % 5 == 0 {
            "_COMM"
        } else {
            "SYSLOG_IDENTIFIER"
        };
        text.extend(format!("{field}={source}\n").bytes());
        if number % 7 == 0 {
            text.extend(format!("UNIT=u{}.service\n", number % 3).bytes());
        }
        match number {
            850 => text.extend(b"UNIT=emergency.target\nMESSAGE=Reached target Emergency Mode.\n"),
            _ if number % 11 == 0 => {
                text.extend(format!("MESSAGE=long {number} {}\n", "x".repeat(900)).bytes());
            }
            // With its length, as everything that has a newline.
            _ if number % 13 == 0 => {
                let message = format!("two {number}\nlines");
                text.extend(b"MESSAGE\n");
                text.extend((message.len() as u64).to_le_bytes());
                text.extend(format!("{message}\n").bytes());
            }
            _ => text.extend(format!("MESSAGE=message {number}\n").bytes()),
        }
        text.push(b'\n');
    }
    text
}

/// A root whose journal systemd has just written, with these variables set.
fn write(variables: &[(&str, &str)]) -> tempfile::TempDir {
    let top = tempfile::tempdir().unwrap();
    let directory = top.path().join("var/log/journal").join(ID);
    fs::create_dir_all(&directory).unwrap();
    let export = top.path().join("in.export");
    fs::write(&export, entries()).unwrap();
    let output = Command::new(REMOTE)
        .envs(variables.iter().copied())
        .arg("-o")
        .args([&directory.join("system.journal"), &export])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    top
}

fn file(top: &Path) -> std::path::PathBuf {
    top.join("var/log/journal").join(ID).join("system.journal")
}

fn read(top: &Path) -> LastBootLog {
    look(&InRoot::open(&HostPath::new(top)).unwrap(), Some(ID))
}

/// What journalctl says of the last boot's errors: those that can be read here, and how many more
/// are too long for that.
fn truth(top: &Path) -> (Vec<Line>, u32) {
    let output = Command::new("journalctl")
        .args(["--all", "-o", "json", "--file"])
        .arg(file(top))
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let (boot, mut long) = (this_boot(), 0);
    let mut kept: Vec<Vec<Line>> = vec![Vec::new(); 4];
    for entry in text.lines() {
        let entry: Value = serde_json::from_str(entry).unwrap();
        let text = |name: &str| entry[name].as_str().map(str::to_string);
        let priority: u8 = text("PRIORITY").unwrap().parse().unwrap();
        if text("_BOOT_ID").unwrap() != boot || priority > 3 {
            continue;
        }
        kept[usize::from(priority)].push(Line {
            when: text("__REALTIME_TIMESTAMP").unwrap().parse().unwrap(),
            priority,
            source: text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM")).unwrap(),
            unit: text("UNIT"),
            message: text("MESSAGE").unwrap(),
        });
    }
    let mut lines = Vec::new();
    for list in kept {
        for mut line in list.into_iter().rev().take(KEPT) {
            if line.message.len() > 512 {
                long += 1;
                continue;
            }
            line.message = line.message.lines().next().unwrap().to_string();
            lines.push(line);
        }
    }
    lines.sort();
    (lines, long)
}

fn is_as_journalctl_says(log: &LastBootLog, (lines, long): &(Vec<Line>, u32)) {
    assert!(lines.len() > 100 && *long > 5, "{} {long}", lines.len());
    assert_eq!(&log.errors, lines);
    assert_eq!(log.compressed, *long);
    assert_eq!(log.unread, None);
    assert_eq!(log.ended, 1_700_000_899);
    let emergency = log.emergency.as_ref().unwrap();
    assert_eq!(emergency.message, "Reached target Emergency Mode.");
    assert_eq!(emergency.unit.as_deref(), Some("emergency.target"));
}

#[test]
fn every_field_is_what_journalctl_shows() {
    if !need(&[Need::File(REMOTE), Need::Command("journalctl")]) {
        return;
    }
    let tables: [&[(&str, &str)]; 4] = [
        &[],
        &[("SYSTEMD_JOURNAL_COMPACT", "1")],
        &[("SYSTEMD_JOURNAL_COMPACT", "0")],
        &[
            ("SYSTEMD_JOURNAL_COMPACT", "0"),
            ("SYSTEMD_JOURNAL_KEYED_HASH", "0"),
        ],
    ];
    let mut layouts = Vec::new();
    for variables in tables {
        let top = write(variables);
        is_as_journalctl_says(&read(top.path()), &truth(top.path()));
        layouts.push(fs::read(file(top.path())).unwrap()[12]);
    }
    // Compact or not, keyed or not: the variables did what they are for.
    assert!(layouts.iter().any(|flags| flags & 16 != 0), "{layouts:?}");
    assert!(layouts.iter().any(|flags| flags & 16 == 0), "{layouts:?}");
    assert!(layouts.iter().any(|flags| flags & 4 == 0), "{layouts:?}");
}

#[test]
fn messages_compressed_in_another_way_are_counted_too() {
    if !need(&[Need::File(REMOTE), Need::Command("journalctl")]) {
        return;
    }
    let top = write(&[("SYSTEMD_JOURNAL_COMPACT", "0")]);
    let truth = truth(top.path());
    let path = file(top.path());
    let whole = fs::read(&path).unwrap();
    for (object, header) in [(1, 1), (2, 2)] {
        let mut bytes = whole.clone();
        bytes[12] = bytes[12] & !ZSTD.1 | header;
        let mut changed = 0;
        // Every object is aligned, and a data object with this flag begins like no other bytes.
        for at in (272..bytes.len() - 16).step_by(8) {
            if bytes[at..at + 8] == [1, ZSTD.0, 0, 0, 0, 0, 0, 0] {
                bytes[at + 1] = object;
                changed += 1;
            }
        }
        assert!(changed > 50, "{changed}");
        fs::write(&path, bytes).unwrap();
        is_as_journalctl_says(&read(top.path()), &truth);
    }
}

#[test]
fn a_cut_or_damaged_file_ends_in_fewer_lines() {
    if !need(&[Need::File(REMOTE), Need::Command("journalctl")]) {
        return;
    }
    let top = write(&[]);
    let (lines, _) = truth(top.path());
    let path = file(top.path());
    let whole = fs::read(&path).unwrap();
    for cut in (0..whole.len().min(400_000)).step_by(9973) {
        fs::write(&path, &whole[..cut]).unwrap();
        let log = read(top.path());
        assert!(log.errors.iter().all(|line| lines.contains(line)), "{cut}");
    }
    for at in (0..272).chain((272..400_000).step_by(4003)) {
        let mut bytes = whole[..400_000].to_vec();
        bytes[at] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        assert!(read(top.path()).errors.len() <= 4 * KEPT, "{at}");
    }
}
