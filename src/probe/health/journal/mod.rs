//! The last boot, as systemd's journal has it: errors, units that failed, emergency mode.
//!
//! Only what is uncompressed is read (a message of less than 512 bytes never is compressed), and
//! what is not is counted; nothing is executed, nothing is written.

mod file;

use serde::{Deserialize, Serialize};

use crate::model::{Kind, RootPath};
use crate::root::Tree;
use file::{Entry, Journal};

/// The last errors of each priority that are kept.
const MOST_OF_EACH: usize = 40;
/// Journal files of one machine that are looked at, the newest first.
const MOST_FILES: usize = 4;

/// One line of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since 1970.
    pub when: u64,
    /// 0 (the system is unusable) to 7.
    pub priority: u8,
    /// Who wrote it.
    pub source: String,
    /// The unit it is about.
    pub unit: Option<String>,
    /// What it says.
    pub message: String,
}

/// What is known of the last boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBootLog {
    /// The file that was read.
    pub file: Option<String>,
    /// When the last entry was written, seconds since 1970.
    pub ended: i64,
    /// Errors, oldest first; the last ones where there are many.
    pub errors: Vec<Line>,
    /// Errors whose message is long and kept compressed: they are not among these.
    pub compressed: u32,
    /// systemd went into emergency or rescue mode: the line that says so.
    pub emergency: Option<Line>,
    /// There is a journal, and it cannot be read: why.
    pub unread: Option<String>,
}

/// Reads the journal of the last boot below /var/log/journal.
#[must_use]
pub fn look(tree: &dyn Tree, machine_id: Option<&str>) -> LastBootLog {
    let mut log = LastBootLog::default();
    let base = RootPath::new("/var/log/journal");
    let Some(directory) = directory(tree, &base, machine_id) else {
        return log;
    };
    let mut files = Vec::new();
    for name in tree
        .list(&directory)
        .unwrap_or_default()
        .into_iter()
        .take(4096)
    {
        let text = name.to_string_lossy();
        // `.journal~` was cut off by a crash and may hold the boot that matters.
        let is_system = text.starts_with("system")
            && (text.ends_with(".journal") || text.ends_with(".journal~"));
        if let Some(meta) = is_system
            .then(|| tree.lstat(&directory.join(&name)).ok())
            .flatten()
            && meta.kind == Kind::File
        {
            files.push((std::cmp::Reverse(meta.modified), directory.join(&name)));
        }
    }
    files.sort();
    let mut boot = None;
    let mut read = 0;
    for (_, path) in files.into_iter().take(MOST_FILES) {
        let Ok(file) = tree.open(&path) else {
            continue;
        };
        let Some(journal) = Journal::open(&file) else {
            log.unread
                .get_or_insert_with(|| format!("{path} has a format that is not read"));
            continue;
        };
        if journal.last == 0 || boot.is_some_and(|boot| boot != journal.boot) {
            continue;
        }
        boot = Some(journal.boot);
        read += 1;
        log.file.get_or_insert_with(|| path.to_string());
        log.ended = log
            .ended
            .max(i64::try_from(journal.last / 1_000_000).unwrap_or(0));
        gather(&journal, &mut log);
    }
    if read > 0 {
        log.unread = None;
    }
    log.errors.sort();
    log.errors.dedup();
    log
}

/// The directory of the machine id; where that is not known, the only one.
fn directory(tree: &dyn Tree, base: &RootPath, machine_id: Option<&str>) -> Option<RootPath> {
    let is_dir = |path: &RootPath| {
        tree.stat(path)
            .is_ok_and(|meta| meta.kind == Kind::Directory)
    };
    if let Some(path) = machine_id.map(|id| base.join(id)).filter(is_dir) {
        return Some(path);
    }
    let names = tree.list(base).ok()?;
    let mut ids = names
        .iter()
        .filter(|name| name.len() == 32)
        .map(|name| base.join(name))
        .filter(is_dir);
    let first = ids.next()?;
    ids.next().is_none().then_some(first)
}

fn gather(journal: &Journal<'_>, log: &mut LastBootLog) {
    for data in journal.values("PRIORITY") {
        let priority = match data.text.as_slice() {
            [.., b'=', digit @ b'0'..=b'3'] => digit - b'0',
            _ => continue,
        };
        for entry in journal.entries_of(&data, MOST_OF_EACH) {
            if entry.boot != journal.boot {
                continue;
            }
            match line(journal, &entry, priority) {
                Some(line) => log.errors.push(line),
                None => log.compressed += u32::from(journal.has_compressed(&entry)),
            }
        }
    }
    for data in journal.values("UNIT") {
        let emergency = [
            &b"UNIT=emergency.target"[..],
            b"UNIT=emergency.service",
            b"UNIT=rescue.service",
        ];
        if !emergency.contains(&data.text.as_slice()) {
            continue;
        }
        let entries = journal.entries_of(&data, MOST_OF_EACH);
        let last = entries
            .iter()
            .rev()
            .filter(|entry| entry.boot == journal.boot)
            .find_map(|entry| {
                let line = line(journal, entry, 6)?;
                let began = ["Started", "Reached", "Starting"]
                    .iter()
                    .any(|word| line.message.starts_with(word));
                began.then_some(line)
            });
        log.emergency = log.emergency.take().or(last);
    }
}

fn line(journal: &Journal<'_>, entry: &Entry, priority: u8) -> Option<Line> {
    let message = journal.value(entry, "MESSAGE")?;
    let source = journal
        .value(entry, "SYSLOG_IDENTIFIER")
        .or_else(|| journal.value(entry, "_COMM"))
        .unwrap_or_default();
    Some(Line {
        when: entry.when,
        priority,
        source,
        unit: journal.value(entry, "UNIT"),
        message: message.lines().next().unwrap_or_default().to_string(),
    })
}

#[cfg(test)]
mod tests;
