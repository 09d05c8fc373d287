//! `newroot jail export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write a jail as one file: an archive, an initramfs, a container image
///
/// The manifest is left out. What a normal user built belongs to root in the file. The same jail
/// gives the same bytes; SOURCE_DATE_EPOCH, seconds since 1970, is the latest time there can be.
#[derive(Args, Debug, Default)]
pub struct ExportArgs {
    /// What to write; without it FILE's ending says so
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// Where kernel modules come from, instead of /
    #[arg(long, value_name = "ROOT")]
    pub from: Option<PathBuf>,
    #[command(flatten)]
    pub initramfs: InitramfsOptions,
    #[command(flatten)]
    pub oci: OciOptions,
    /// The jail's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Where to write; - is standard output
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
}

/// For `--format cpio`.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "An initramfs (cpio)")]
pub struct InitramfsOptions {
    /// Make /init, which the kernel starts, a link to PATH
    #[arg(long, value_name = "PATH")]
    pub init: Option<PathBuf>,
    /// Add modules of kernel KVER with what they depend on; all without a NAME
    #[arg(long, value_name = "KVER[:NAME...]")]
    pub modules: Vec<String>,
}

/// For `--format oci` and `oci-dir`.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "A container image (oci, oci-dir)")]
pub struct OciOptions {
    /// The image's name (default: only the tag, latest)
    #[arg(long, value_name = "NAME[:TAG]")]
    pub tag: Option<String>,
    /// The program it starts; again for each fixed argument, or once as a JSON list
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub entrypoint: Vec<String>,
    /// Set a variable, besides those of the jail's profiles
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Run as this user (name, uid, or uid:gid)
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Start in this directory
    #[arg(short = 'w', long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Name a port it listens on
    #[arg(long, value_name = "PORT[/udp]")]
    pub expose: Vec<String>,
}

/// `--format`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// POSIX tar
    Tar,
    /// newc, as an initramfs is
    Cpio,
    /// OCI image, archived: for podman load, skopeo, containerd
    Oci,
    /// OCI image layout: a directory
    OciDir,
    /// Read-only file system, made by mksquashfs
    Squashfs,
}
