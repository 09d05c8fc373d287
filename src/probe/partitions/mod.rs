//! Partition tables, read by ourselves: an image file has no kernel to read them, and some
//! kernels scan no partitions on loop devices. The backup GPT serves when the first is damaged.
//!
//! Pure over [`Medium`]. Tables are hostile: entries are bounded in number, have to lie on the
//! medium, and a chain of extended partitions has to end.

mod gpt;
mod kind;
mod mbr;

pub use kind::PartitionKind;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// More partitions than anyone makes.
pub const MOST_PARTITIONS: usize = 256;

/// Something with bytes at offsets: a device, an image, a test's vector.
pub trait Medium {
    /// Reads at `offset`; fewer bytes than asked for at the end only.
    ///
    /// # Errors
    /// The errno of pread(2).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Exactly `count` bytes at `offset`; `None` where they cannot be had.
    fn bytes(&self, offset: u64, count: usize) -> Option<Vec<u8>> {
        if offset.checked_add(count as u64)? > self.length() {
            return None;
        }
        let mut buffer = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.read_at(offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) | Err(_) => return None,
                Ok(more) => filled += more,
            }
        }
        Some(buffer)
    }
}

/// An open block device or image file.
#[derive(Debug)]
pub struct Opened {
    fd: OwnedFd,
    length: u64,
}

impl Opened {
    /// Takes a descriptor that is open for reading.
    ///
    /// # Errors
    /// The errno of lseek(2).
    pub fn new(fd: OwnedFd) -> crate::sys::SysResult<Self> {
        let length = crate::sys::block::length(&fd)?;
        Ok(Self { fd, length })
    }

    /// The descriptor.
    #[must_use]
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Medium for Opened {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::pread(&self.fd, buffer, offset)?)
    }

    fn length(&self) -> u64 {
        self.length
    }
}

impl Medium for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let count = buffer.len().min(self.len() - start);
        buffer[..count].copy_from_slice(&self[start..start + count]);
        Ok(count)
    }

    fn length(&self) -> u64 {
        self.len() as u64
    }
}

/// Which kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// GUID partition table.
    Gpt,
    /// The same, read from its backup at the end: the first one is damaged.
    GptBackup,
    /// Master boot record with extended partitions.
    Mbr,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number, as in `sda5`.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
    /// What its type says it is for: a hint, never proof.
    pub kind: PartitionKind,
    /// The type: a GUID, or `0x83`.
    pub type_code: String,
    /// PARTUUID, as udev and fstab write it.
    pub uuid: String,
    /// PARTLABEL; empty where there is none.
    pub label: String,
    /// GPT attribute bits; for MBR bit 2 is the active flag, as in GPT.
    pub attributes: u64,
}

/// A whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which kind.
    pub scheme: Scheme,
    /// In the order of their numbers.
    pub partitions: Vec<Partition>,
    /// What is wrong with the table.
    pub problems: Vec<&'static str>,
    /// Whether boot code is in the first sector, and whose ("GRUB").
    pub boot_code: Option<&'static str>,
}

/// Reads the table of `medium`; `None` when there is none.
pub fn read(medium: &(impl Medium + ?Sized)) -> Option<Table> {
    let first = medium.bytes(0, 512)?;
    let boot_code = boot_code(&first);
    let has_signature = first[510..] == [0x55, 0xaa];
    let protective = has_signature && mbr::is_protective(&first);
    // A backup alone is no proof: the disk may have got an MBR since. It counts when the first
    // sector still says GPT, or says nothing.
    let mut table = gpt::read(medium, protective || !has_signature)
        .or_else(|| mbr::read(medium, &first).filter(|_| has_signature && !protective))?;
    table.boot_code = boot_code;
    Some(table)
}

/// Whose code the first 440 bytes hold.
fn boot_code(sector: &[u8]) -> Option<&'static str> {
    const MARKS: &[(&[u8], &str)] = &[
        (b"GRUB", "GRUB"),
        (b"LILO", "LILO"),
        (b"isolinux", "isolinux"),
        (b"ISOLINUX", "isolinux"),
        (b"SYSLINUX", "syslinux"),
        (b"Limine", "Limine"),
    ];
    let code = sector.get(..440)?;
    MARKS
        .iter()
        .find(|(mark, _)| code.windows(mark.len()).any(|window| window == *mark))
        .map(|(_, name)| *name)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    if let Some(found) = bytes.get(at..at + 4) {
        word.copy_from_slice(found);
    }
    u32::from_le_bytes(word)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any bytes at all: no panic, no endless loop, nothing outside of the medium.
        #[test]
        fn hostile_bytes_give_bounded_tables(
            mut bytes in proptest::collection::vec(any::<u8>(), 512..8192),
            gpt in any::<bool>(),
        ) {
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            if gpt && bytes.len() > 1024 {
                bytes[450] = 0xee;
                bytes[512..520].copy_from_slice(b"EFI PART");
            }
            if let Some(table) = read(&bytes[..]) {
                prop_assert!(table.partitions.len() <= MOST_PARTITIONS);
                for partition in table.partitions {
                    prop_assert!(partition.start + partition.size <= bytes.len() as u64);
                }
            }
        }
    }
}
