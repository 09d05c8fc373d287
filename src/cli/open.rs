//! How a TARGET is opened: what `mount`, `rescue` and their like share.

use std::ffi::OsString;

use clap::Args;

/// Options of every verb that opens a TARGET.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Opening the target")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct OpenOptions {
    /// Never write: mount read-only without replaying journals, and stay so
    #[arg(long)]
    pub read_only: bool,
    /// Mount read-write, after a look read-only
    #[arg(long, conflicts_with = "read_only")]
    pub read_write: bool,
    /// Key of the encrypted volume DEV, or of all of them (- for stdin; repeatable)
    #[arg(long, value_name = "[DEV=]FILE")]
    pub key_file: Vec<OsString>,
    /// Mount what fstab marks noauto as well
    #[arg(long)]
    pub noauto: bool,
    /// Mount network filesystems of fstab as well
    #[arg(long)]
    pub network: bool,
    /// Write though the system is hibernated: its saved memory is lost
    #[arg(long)]
    pub discard_hibernation: bool,
    /// Write to NTFS that Windows did not leave clean
    #[arg(long)]
    pub dirty_ntfs: bool,
    /// Write to an md array that lacks members
    #[arg(long)]
    pub degraded: bool,
    /// Write to filesystems that are marked as having errors
    #[arg(long)]
    pub filesystem_errors: bool,
    /// Go on though the kernel reports I/O errors of the disk
    #[arg(long)]
    pub failing_disk: bool,
}
