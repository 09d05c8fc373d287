//! `newroot scan`: which systems are installed on this machine's disks.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// List the systems installed on this machine's disks; nothing is written
#[derive(Args, Debug)]
pub struct ScanArgs {
    /// Unlock this encrypted volume to look inside, then lock it again (repeatable)
    #[arg(long, value_name = "ID")]
    pub unlock: Vec<String>,
    /// Read the passphrase from FILE (- for stdin), whole, as cryptsetup does
    #[arg(long, value_name = "FILE", requires = "unlock")]
    pub key_file: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// Show these only: an id or hostname; or look at these only: a device, image file, directory
    #[arg(value_name = "TARGET")]
    pub targets: Vec<OsString>,
}
