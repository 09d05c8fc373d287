//! `newroot doctor`: what is wrong with an installed system, without entering it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// Say what is wrong with an installed system, and how to repair it; nothing is written
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Do not read every program and package file
    #[arg(long)]
    pub quick: bool,
    /// Unlock this encrypted volume to look inside, then lock it again (repeatable)
    #[arg(long, value_name = "ID")]
    pub unlock: Vec<String>,
    /// Read the passphrase from FILE (- for stdin), whole, as cryptsetup does
    #[arg(long, value_name = "FILE", requires = "unlock")]
    pub key_file: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// The system: id, hostname, device, UUID=, directory or image; omitted: the only one found
    #[arg(value_name = "TARGET")]
    pub target: Option<OsString>,
}
