//! A root as one file: tar, cpio (an initramfs), an OCI image, squashfs.
//!
//! [`Image::read`] walks a root once into a sorted list of entries; a writer turns that list into
//! bytes. The same list gives the same bytes: nothing here looks at the clock, at a host name or
//! at a hash's iteration order. Files are streamed; only names and metadata are held in memory.
//! Nothing here writes into a root, prints, or decides what is exported.

mod cpio;
mod entry;
mod gzip;
mod kmod_index;
mod module_tables;
mod modules;
mod oci;
mod oci_layout;
mod output;
mod squashfs;
mod tar;
mod walk;

pub use cpio::write_cpio;
pub use entry::{Body, Content, Entry, Image, Lost, Note};
pub use gzip::Gzip;
pub use modules::{ModuleReport, ModuleRequest, add_modules};
pub use oci::{OciConfig, architecture_of};
pub use oci_layout::{write_oci_archive, write_oci_directory};
pub use output::{Output, is_inside, parent as directory_of, spool};
pub use squashfs::{command_line as squashfs_command, epoch as squashfs_epoch, write_squashfs};
pub use tar::write_tar;
pub use walk::Policy;

use std::io;
use std::path::PathBuf;

use crate::model::{RootPath, shell_word};

/// What went wrong while an image was made. Paths are quoted for a shell, so that no name can
/// forge a line.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file of the root cannot be read.
    #[error("cannot read {}: {source}", quoted(path))]
    Read {
        /// In the root.
        path: RootPath,
        /// The errno.
        source: io::Error,
    },
    /// A file of the root was cut short, or became another, between the walk and the copy.
    #[error("{} changed while it was read", quoted(path))]
    Changed {
        /// In the root.
        path: RootPath,
    },
    /// The format cannot hold this.
    #[error("{} cannot be put into this format: {why}", quoted(path))]
    Unfit {
        /// In the root.
        path: RootPath,
        /// The format's limit.
        why: &'static str,
    },
    /// The output cannot be written.
    #[error("cannot write the image: {0}")]
    Write(#[from] io::Error),
    /// A file on the host cannot be made, renamed or removed.
    #[error("cannot write {}: {source}", path.display())]
    Host {
        /// On the host.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// Kernel modules that were asked for are not there.
    #[error("{0}")]
    Modules(String),
    /// mksquashfs.
    #[error(transparent)]
    Tool(#[from] crate::tool::ToolError),
}

fn quoted(path: &RootPath) -> String {
    shell_word(path.as_bytes())
}
