//! Parts of a file or disk as devices: an image's partitions, a disk whose partitions the kernel
//! does not see, the data of an md mirror or of a logical volume. Read-only, and gone with their
//! last descriptor.

use std::path::{Path, PathBuf};

use super::partitions::Opened;
use crate::sys::loopdev::{self, LoopDevice};
use crate::sys::{SysResult, block};

/// What is made a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The image file or device it lies in.
    pub file: PathBuf,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
}

/// Opens an image or device for reading.
///
/// # Errors
/// The errno of open(2) or lseek(2).
pub fn open(path: &Path) -> SysResult<Opened> {
    Opened::new(block::open(path)?)
}

/// Attaches one part.
///
/// # Errors
/// The call that failed: no loop driver, no free device.
pub fn attach(part: &Part) -> SysResult<LoopDevice> {
    let file = block::open(&part.file)?;
    loopdev::attach_read_only(&file, part.start, part.size, &part.file)
}
