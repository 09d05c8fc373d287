//! `newroot mount` and `newroot umount`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::open::OpenOptions;

/// Mount an installed system as its fstab says, and leave it there
#[derive(Args, Debug)]
pub struct MountArgs {
    /// How it is opened.
    #[command(flatten)]
    pub open: OpenOptions,
    /// An id or hostname of `newroot scan`, a device, UUID=, LABEL=, or an image file
    #[arg(value_name = "TARGET")]
    pub target: OsString,
    /// Where
    #[arg(value_name = "DIR", default_value = "/mnt")]
    pub directory: PathBuf,
}

/// Take away what mount put there, and verify that it is gone
#[derive(Args, Debug)]
pub struct UmountArgs {
    /// What it was called, or where it is
    #[arg(value_name = "TARGET|DIR")]
    pub target: OsString,
}
