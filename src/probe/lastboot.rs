//! When a system was last booted. No single file knows for all distributions; the first that
//! says something counts.

use crate::model::{Kind, RootPath};
use crate::root::Tree;

/// A moment and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastBoot {
    /// Seconds since 1970.
    pub when: i64,
    /// The file that says so.
    pub source: RootPath,
}

/// How much of the end of wtmp is read.
const TAIL: u64 = 256 * 1024;
/// Files that are written at every boot or shutdown, most telling first.
const TOUCHED: &[&str] = &[
    "/var/lib/systemd/random-seed",
    "/var/lib/seedrng/seed.credit",
    "/var/lib/seedrng/seed.no-credit",
    "/var/lib/urandom/random-seed",
    "/var/lib/misc/random-seed",
    "/var/log/dmesg",
    "/var/log/boot.log",
    "/var/log/messages",
    "/var/log/syslog",
    "/etc/resolv.conf",
];

/// Looks in `tree` for the last boot.
#[must_use]
pub fn find(tree: &dyn Tree, machine_id: Option<&str>) -> Option<LastBoot> {
    from_wtmp(tree)
        .or_else(|| from_journal(tree, machine_id?))
        .or_else(|| {
            TOUCHED
                .iter()
                .find_map(|file| touched(tree, &RootPath::new(file)))
        })
}

fn from_wtmp(tree: &dyn Tree) -> Option<LastBoot> {
    let source = RootPath::new("/var/log/wtmp");
    let file = tree.open(&source).ok()?;
    let meta = file.meta().ok()?;
    if meta.kind != Kind::File {
        return None;
    }
    let record = record_size(meta.size)?;
    let from = meta.size.saturating_sub(TAIL / record * record);
    let mut bytes = vec![0; usize::try_from(meta.size - from).ok()?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    last_boot_record(&bytes[..filled], usize::try_from(record).ok()?)
        .map(|when| LastBoot { when, source })
}

/// `struct utmp` has 384 bytes, 400 where time_t in it has 64 bits (arm64, riscv64, loong64).
fn record_size(length: u64) -> Option<u64> {
    [384, 400]
        .into_iter()
        .find(|size| length > 0 && length.is_multiple_of(*size))
}

/// The time of the last BOOT_TIME record (utmp(5)).
fn last_boot_record(bytes: &[u8], size: usize) -> Option<i64> {
    const BOOT_TIME: [u8; 2] = [2, 0];
    let is_boot = |record: &&[u8]| record[..2] == BOOT_TIME && record[44..].starts_with(b"reboot");
    let record = bytes.chunks_exact(size).rfind(is_boot)?;
    if size == 384 {
        let seconds = u32::from_le_bytes(record.get(340..344)?.try_into().ok()?);
        return Some(i64::from(seconds));
    }
    Some(i64::from_le_bytes(record.get(344..352)?.try_into().ok()?))
}

/// The journal file that is written to has the last entry's time in its header
/// (systemd's JOURNAL_FILE_FORMAT): that is when the system was last up.
fn from_journal(tree: &dyn Tree, machine_id: &str) -> Option<LastBoot> {
    const TAIL_ENTRY_REALTIME: usize = 192;
    let source = RootPath::new(format!("/var/log/journal/{machine_id}/system.journal"));
    let file = tree.open(&source).ok()?;
    if file.meta().ok()?.kind != Kind::File {
        return None;
    }
    let mut header = [0; TAIL_ENTRY_REALTIME + 8];
    let count = file.read_at(&mut header, 0).ok()?;
    if count < header.len() || !header.starts_with(b"LPKSHHRH") {
        return None;
    }
    let micros = u64::from_le_bytes(header[TAIL_ENTRY_REALTIME..].try_into().ok()?);
    let when = i64::try_from(micros / 1_000_000)
        .ok()
        .filter(|when| *when > 0)?;
    Some(LastBoot { when, source })
}

fn touched(tree: &dyn Tree, path: &RootPath) -> Option<LastBoot> {
    let meta = tree.lstat(path).ok()?;
    (meta.kind == Kind::File && meta.modified.0 > 0).then(|| LastBoot {
        when: meta.modified.0,
        source: path.clone(),
    })
}

/// "2026-11-23 22:10", in UTC: the proleptic Gregorian calendar, counted in eras of 400 years
/// that begin in March.
#[must_use]
pub fn show(when: i64) -> String {
    let (days, seconds) = (when.div_euclid(86_400), when.rem_euclid(86_400));
    let days = days.clamp(-10_000_000, 10_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn dates_are_the_calendars() {
        let table = [
            (0, "1970-01-01 00:00"),
            (951_827_696, "2000-02-29 12:34"),
            (1_795_471_800, "2026-11-23 22:10"),
            (-1, "1969-12-31 23:59"),
        ];
        for (when, text) in table {
            assert_eq!(show(when), text);
        }
        assert!(show(i64::MIN).starts_with('-'), "no overflow");
        assert!(show(i64::MAX).len() > 16);
    }

    fn record(kind: u8, user: &[u8], when: u32) -> Vec<u8> {
        let mut record = vec![0; 384];
        record[0] = kind;
        record[44..44 + user.len()].copy_from_slice(user);
        record[340..344].copy_from_slice(&when.to_le_bytes());
        record
    }

    #[test]
    fn wtmp_comes_before_the_journal() {
        let mut wtmp = record(2, b"reboot", 1000);
        wtmp.extend(record(2, b"reboot", 2000));
        wtmp.extend(record(7, b"root", 3000));
        let mut journal = b"LPKSHHRH".to_vec();
        journal.resize(192, 0);
        journal.extend(5_000_000_000_u64.to_le_bytes());
        let tree = Mem::new().with_file("/var/log/journal/abc/system.journal", journal);
        let when = |tree: &Mem| find(tree, Some("abc")).map(|boot| boot.when);
        assert_eq!(when(&tree), Some(5000));
        let tree = tree.with_file("/var/log/wtmp", wtmp);
        assert_eq!(when(&tree), Some(2000));
    }

    #[test]
    fn what_is_no_file_says_nothing() {
        let tree = Mem::new()
            .with_special("/var/log/wtmp", Kind::Fifo)
            .with_file("/var/log/journal/abc/system.journal", "LPKSHHRH");
        assert_eq!(find(&tree, Some("abc")), None);
    }
}
