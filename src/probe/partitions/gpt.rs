//! GUID partition table, first or backup.

use std::fmt::Write as _;

use super::{MOST_PARTITIONS, Medium, Partition, PartitionKind, Scheme, Table, le32, le64};

/// The most that is read of an array of entries.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the first table, or the backup when that one is damaged and `backup_counts`.
pub(super) fn read(medium: &(impl Medium + ?Sized), backup_counts: bool) -> Option<Table> {
    // A disk with 4096-byte sectors, or its copy in an image file, has its header at 4096.
    for sector in [512, 4096] {
        if let Some(partitions) = table_at(medium, sector, 1) {
            return Some(finish(partitions, Scheme::Gpt, &[]));
        }
        let last = (medium.length() / sector).checked_sub(1)?;
        if backup_counts && let Some(partitions) = table_at(medium, sector, last) {
            let problem = "the first GPT is damaged; this is its backup";
            return Some(finish(partitions, Scheme::GptBackup, &[problem]));
        }
    }
    None
}

fn finish(partitions: Vec<Partition>, scheme: Scheme, problems: &[&'static str]) -> Table {
    Table {
        scheme,
        partitions,
        problems: problems.to_vec(),
        boot_code: None,
    }
}

fn table_at(
    medium: &(impl Medium + ?Sized),
    sector: u64,
    header_lba: u64,
) -> Option<Vec<Partition>> {
    let header = medium.bytes(header_lba.checked_mul(sector)?, 512)?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let length = usize::try_from(le32(&header, 12)).ok()?;
    if !(92..=512).contains(&length) || le64(&header, 24) != header_lba {
        return None;
    }
    let mut plain = header[..length].to_vec();
    plain[16..20].fill(0);
    if crc32(&plain) != le32(&header, 16) {
        return None;
    }
    let count = u64::from(le32(&header, 80));
    let size = u64::from(le32(&header, 84));
    if size < 128 || count.checked_mul(size)? > MOST_BYTES {
        return None;
    }
    let start = le64(&header, 72).checked_mul(sector)?;
    let entries = medium.bytes(start, usize::try_from(count * size).ok()?)?;
    if crc32(&entries) != le32(&header, 88) {
        return None;
    }
    let partitions = (1..)
        .zip(entries.chunks_exact(usize::try_from(size).ok()?))
        .filter_map(|(number, entry)| partition(number, entry, sector, medium.length()))
        .take(MOST_PARTITIONS);
    Some(partitions.collect())
}

fn partition(number: u32, entry: &[u8], sector: u64, length: u64) -> Option<Partition> {
    if entry[..16] == [0; 16] {
        return None;
    }
    let (first, last) = (le64(entry, 32), le64(entry, 40));
    let start = first.checked_mul(sector)?;
    let size = last
        .checked_sub(first)?
        .checked_add(1)?
        .checked_mul(sector)?;
    if start.checked_add(size)? > length {
        return None;
    }
    let units: Vec<u16> = entry[56..128]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let type_code = guid(&entry[..16]);
    Some(Partition {
        number,
        start,
        size,
        kind: PartitionKind::of_guid(&type_code),
        type_code,
        uuid: guid(&entry[16..32]),
        label: String::from_utf16_lossy(&units),
        attributes: le64(entry, 48),
    })
}

/// A GUID as text: the first three groups are little-endian.
fn guid(bytes: &[u8]) -> String {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut out = String::with_capacity(36);
    for (position, index) in ORDER.into_iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        write!(out, "{:02x}", bytes[index]).ok();
    }
    out
}

/// The CRC-32 of UEFI, zlib and everybody else.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    const ESP: [u8; 16] = [
        0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9,
        0x3b,
    ];

    fn header(disk: &mut [u8], sector: usize, at: usize, entries: usize) {
        let array_crc = crc32(&disk[entries * sector..entries * sector + 512]);
        let base = at * sector;
        let mut put = |offset: usize, bytes: &[u8]| {
            disk[base + offset..base + offset + bytes.len()].copy_from_slice(bytes);
        };
        put(0, b"EFI PART");
        put(12, &92_u32.to_le_bytes());
        put(16, &[0; 4]);
        put(24, &(at as u64).to_le_bytes());
        put(72, &(entries as u64).to_le_bytes());
        put(80, &4_u32.to_le_bytes());
        put(84, &128_u32.to_le_bytes());
        put(88, &array_crc.to_le_bytes());
        let crc = crc32(&disk[base..base + 92]);
        disk[base + 16..base + 20].copy_from_slice(&crc.to_le_bytes());
    }

    fn disk(sector: usize) -> Vec<u8> {
        let mut disk = vec![0; 40 * sector];
        disk[450] = 0xee;
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        for entries in [2, 38] {
            let at = entries * sector;
            disk[at..at + 16].copy_from_slice(&ESP);
            disk[at + 32..at + 40].copy_from_slice(&4_u64.to_le_bytes());
            disk[at + 40..at + 48].copy_from_slice(&7_u64.to_le_bytes());
            disk[at + 56..at + 60].copy_from_slice(&[b'E', 0, b'F', 0]);
        }
        header(&mut disk, sector, 1, 2);
        header(&mut disk, sector, 39, 38);
        disk
    }

    #[test]
    fn both_sector_sizes_and_the_backup() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for sector in [512, 4096] {
            let mut disk = disk(sector);
            let table = read(&disk[..]).unwrap();
            assert_eq!(table.scheme, Scheme::Gpt);
            let first = &table.partitions[0];
            assert_eq!(
                (first.kind, first.label.as_str()),
                (PartitionKind::Esp, "EF")
            );
            assert_eq!(
                (first.start, first.size),
                (4 * sector as u64, 4 * sector as u64)
            );

            disk[sector] = 0;
            let backup = read(&disk[..]).unwrap();
            assert_eq!(backup.scheme, Scheme::GptBackup);
            assert_eq!(backup.partitions, table.partitions);
            assert_eq!(backup.problems.len(), 1);
        }
    }

    #[test]
    fn one_flipped_bit_is_seen() {
        let good = disk(512);
        for at in [512 + 40, 512 + 72, 1024, 1024 + 32] {
            let mut disk = good.clone();
            disk[at] ^= 1;
            assert_eq!(
                read(&disk[..]).unwrap().scheme,
                Scheme::GptBackup,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_backup_behind_a_later_mbr_does_not_count() {
        let mut disk = disk(512);
        disk[512] = 0;
        disk[450] = 0x83;
        disk[454] = 1;
        disk[458] = 1;
        assert_eq!(read(&disk[..]).unwrap().scheme, Scheme::Mbr);
    }
}
