//! Master boot record, with the chain of extended boot records behind it.

use super::{MOST_PARTITIONS, Medium, Partition, PartitionKind, Scheme, Table, le32};

const SECTOR: u64 = 512;

struct Slot {
    active: bool,
    code: u8,
    start: u64,
    sectors: u64,
}

fn slots(sector: &[u8]) -> [Slot; 4] {
    [446, 462, 478, 494].map(|at| Slot {
        active: sector[at] == 0x80,
        code: sector[at + 4],
        start: u64::from(le32(sector, at + 8)),
        sectors: u64::from(le32(sector, at + 12)),
    })
}

fn is_extended(code: u8) -> bool {
    matches!(code, 0x05 | 0x0f | 0x85)
}

/// Whether a GPT says here that the disk is taken.
pub(super) fn is_protective(sector: &[u8]) -> bool {
    slots(sector).iter().any(|slot| slot.code == 0xee)
}

pub(super) fn read(medium: &(impl Medium + ?Sized), first: &[u8]) -> Option<Table> {
    let slots = slots(first);
    // The boot sector of a FAT or NTFS ends in 55AA as well: a table has slots that make sense.
    let sane = |slot: &Slot| slot.code == 0 || (slot.start != 0 && slot.sectors != 0);
    let flags_sane = [446, 462, 478, 494].iter().all(|at| first[*at] & 0x7f == 0);
    if !flags_sane || !slots.iter().all(sane) || slots.iter().all(|slot| slot.code == 0) {
        return None;
    }
    let mut table = Table {
        scheme: Scheme::Mbr,
        partitions: Vec::new(),
        problems: Vec::new(),
        boot_code: None,
    };
    let disk = le32(first, 440);
    for (number, slot) in (1..).zip(&slots) {
        if is_extended(slot.code) {
            chain(medium, slot, disk, &mut table);
        } else if slot.code != 0 {
            push(medium, &mut table, disk, number, slot.start, slot);
        }
    }
    table.partitions.sort_by_key(|partition| partition.number);
    Some(table)
}

/// Logical partitions, numbered from 5. Each record names one partition, relative to itself, and
/// the next record, relative to the extended partition.
fn chain(medium: &(impl Medium + ?Sized), extended: &Slot, disk: u32, table: &mut Table) {
    let mut at = extended.start;
    let mut seen = Vec::new();
    for number in 5.. {
        if seen.contains(&at) || seen.len() == MOST_PARTITIONS {
            table
                .problems
                .push("the chain of extended partitions has no end");
            return;
        }
        seen.push(at);
        let Some(sector) = medium.bytes(at.saturating_mul(SECTOR), 512) else {
            table
                .problems
                .push("an extended partition lies outside of the disk");
            return;
        };
        if sector[510..] != [0x55, 0xaa] {
            table
                .problems
                .push("an extended boot record has no signature");
            return;
        }
        let [data, link, ..] = slots(&sector);
        if data.code != 0 && !is_extended(data.code) {
            push(medium, table, disk, number, at + data.start, &data);
        }
        if !is_extended(link.code) || link.sectors == 0 {
            return;
        }
        at = extended.start + link.start;
    }
}

fn push(
    medium: &(impl Medium + ?Sized),
    table: &mut Table,
    disk: u32,
    number: u32,
    start: u64,
    slot: &Slot,
) {
    // A sector number has 32 bits, their sum 33: no overflow in bytes.
    let (start, size) = (start * SECTOR, slot.sectors * SECTOR);
    if size == 0 || start + size > medium.length() {
        table.problems.push("a partition lies outside of the disk");
        return;
    }
    if table.partitions.len() == MOST_PARTITIONS {
        return;
    }
    table.partitions.push(Partition {
        number,
        start,
        size,
        kind: PartitionKind::of_mbr(slot.code),
        type_code: format!("0x{:02x}", slot.code),
        uuid: format!("{disk:08x}-{number:02x}"),
        label: String::new(),
        attributes: if slot.active { 4 } else { 0 },
    });
}

#[cfg(test)]
mod tests {
    use super::super::read;

    fn put(bytes: &mut [u8], sector: usize, slot: usize, code: u8, start: u32, count: u32) {
        let at = sector * 512 + 446 + 16 * slot;
        bytes[at + 4] = code;
        bytes[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        bytes[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
        bytes[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    }

    #[test]
    fn primary_and_logical_partitions() {
        let mut disk = vec![0; 100 * 512];
        disk[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        put(&mut disk, 0, 0, 0x83, 1, 9);
        put(&mut disk, 0, 1, 0x05, 20, 60);
        put(&mut disk, 20, 0, 0x82, 1, 9);
        put(&mut disk, 20, 1, 0x05, 20, 20);
        put(&mut disk, 40, 0, 0x83, 2, 8);
        let table = read(&disk[..]).unwrap();
        let seen: Vec<(u32, u64, &str)> = table
            .partitions
            .iter()
            .map(|part| (part.number, part.start / 512, part.uuid.as_str()))
            .collect();
        let wanted = [
            (1, 1, "deadbeef-01"),
            (5, 21, "deadbeef-05"),
            (6, 42, "deadbeef-06"),
        ];
        assert_eq!(seen, wanted);
        assert!(table.problems.is_empty());
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends() {
        let mut disk = vec![0; 100 * 512];
        put(&mut disk, 0, 0, 0x0f, 20, 60);
        put(&mut disk, 20, 0, 0x83, 1, 9);
        put(&mut disk, 20, 1, 0x05, 20, 20);
        put(&mut disk, 40, 0, 0x83, 1, 9);
        put(&mut disk, 40, 1, 0x05, 0, 20);
        let table = read(&disk[..]).unwrap();
        assert_eq!(table.partitions.len(), 2);
        assert_eq!(
            table.problems,
            ["the chain of extended partitions has no end"]
        );
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut disk = vec![0; 100 * 512];
        put(&mut disk, 0, 0, 0x83, 1, 9);
        put(&mut disk, 0, 1, 0x83, 90, u32::MAX);
        put(&mut disk, 0, 2, 0x05, u32::MAX, u32::MAX);
        let table = read(&disk[..]).unwrap();
        assert_eq!((table.partitions.len(), table.problems.len()), (1, 2));
    }
}
