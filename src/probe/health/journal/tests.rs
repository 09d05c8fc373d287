//! A journal file written here by hand, whole, cut and mutated.

use super::*;
use crate::root::Mem;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Writes objects one after another; the table of fields has two buckets.
struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        let mut bytes = vec![0; 272];
        bytes[..8].copy_from_slice(b"LPKSHHRH");
        bytes[56..72].fill(7);
        let mut writer = Self(bytes);
        let table = writer.object(5, &[0; 32]);
        writer.put(120, table + 16);
        writer.put(128, 32);
        writer.put(184, 1_000_000);
        writer.put(192, 9_000_000);
        writer
    }

    fn object(&mut self, kind: u8, body: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        let at = self.0.len() as u64;
        self.0.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        self.0.extend((16 + body.len() as u64).to_le_bytes());
        self.0.extend(body);
        at
    }

    fn put(&mut self, at: u64, value: u64) {
        let at = usize::try_from(at).unwrap();
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn data(&mut self, text: &str) -> u64 {
        let body = [&[0; 48][..], text.as_bytes()].concat();
        self.object(1, &body)
    }

    fn field(&mut self, bucket: u64, name: &str, first: u64) {
        let mut body = vec![0; 24];
        body[16..24].copy_from_slice(&first.to_le_bytes());
        body.extend(name.as_bytes());
        let at = self.object(2, &body);
        self.put(272 + 16 + bucket * 16, at);
    }

    fn entry(&mut self, when: u64, boot: u8, items: &[u64]) -> u64 {
        let mut body = vec![0; 48];
        body[8..16].copy_from_slice(&when.to_le_bytes());
        body[24..40].fill(boot);
        for item in items {
            body.extend(item.to_le_bytes());
            body.extend([0; 8]);
        }
        self.object(3, &body)
    }
}

fn journal() -> Vec<u8> {
    let mut writer = Writer::new();
    let priority = writer.data("PRIORITY=3");
    let unit = writer.data("UNIT=emergency.target");
    let old = writer.data("MESSAGE=of another boot");
    let new = writer.data("MESSAGE=Dependency failed for /data.\nmore");
    let began = writer.data("MESSAGE=Reached target Emergency Mode.");
    let from = writer.data("SYSLOG_IDENTIFIER=systemd");
    writer.field(0, "PRIORITY", priority);
    writer.field(1, "UNIT", unit);
    let first = writer.entry(2_000_000, 1, &[priority, old]);
    let second = writer.entry(8_000_000, 7, &[priority, new, from]);
    let third = writer.entry(8_500_000, 7, &[unit, began]);
    let mut array = vec![0; 8];
    array.extend(second.to_le_bytes());
    let array = writer.object(6, &array);
    for (data, entry, array, count) in [(priority, first, array, 2), (unit, third, 0, 1)] {
        writer.put(data + 16 + 24, entry);
        writer.put(data + 16 + 32, array);
        writer.put(data + 16 + 40, count);
    }
    writer.0
}

fn read(bytes: Vec<u8>) -> LastBootLog {
    let tree = Mem::new().with_file(&format!("/var/log/journal/{ID}/system.journal"), bytes);
    look(&tree, Some(ID))
}

#[test]
fn only_the_last_boots_errors_come() {
    let log = read(journal());
    assert_eq!(log.errors.len(), 1);
    let line = &log.errors[0];
    assert_eq!(line.message, "Dependency failed for /data.");
    assert_eq!((line.source.as_str(), line.priority), ("systemd", 3));
    assert_eq!(log.ended, 9);
    assert!(log.emergency.unwrap().message.contains("Emergency"));
    assert_eq!(log.unread, None);
}

#[test]
fn cut_and_changed_files_end() {
    let whole = journal();
    for cut in 0..whole.len() {
        read(whole[..cut].to_vec());
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            read(bytes);
        }
    }
}

#[test]
fn another_format_is_said_not_guessed() {
    let mut bytes = journal();
    bytes[12] = 0xff;
    assert!(read(bytes).unread.is_some());
}
