//! squashfs, made by mksquashfs from the tar archive that we feed it: owners, links, attributes
//! and times are those of the image, whoever runs it.

use std::ffi::OsString;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use super::entry::Image;
use super::{ImageError, write_tar};
use crate::model::RootPath;
use crate::tool::{FeedError, feed};

/// The arguments of mksquashfs (4.5 or later, for `-tar`).
#[must_use]
pub fn command_line(image: &Image, output: &Path) -> Vec<OsString> {
    let root = image.get(&RootPath::root());
    // The time of the superblock is 32 bits; without it mksquashfs takes the clock.
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX).to_string();
    let time = seconds(image.newest());
    let mut words: Vec<OsString> = vec!["-".into(), output.into()];
    let options = ["-tar", "-noappend", "-no-progress", "-mkfs-time", &time];
    words.extend(options.map(OsString::from));
    // The archive's own entry for the root is not looked at.
    if let Some(root) = root {
        let pairs = [
            ("-root-mode", format!("{:o}", root.mode)),
            ("-root-uid", root.uid.to_string()),
            ("-root-gid", root.gid.to_string()),
            ("-root-time", seconds(root.modified)),
        ];
        for (option, value) in pairs {
            words.extend([OsString::from(option), OsString::from(value)]);
        }
    }
    words
}

/// Writes the image to the file `output`, which may exist.
///
/// # Errors
/// mksquashfs is missing or failed, or a file cannot be read.
pub fn write_squashfs(image: &Image, output: &Path) -> Result<(), ImageError> {
    let words = command_line(image, output);
    let fed = feed("mksquashfs", "squashfs-tools", &words, |input| {
        let mut buffered = BufWriter::with_capacity(64 * 1024, input);
        write_tar(image, &mut buffered)?;
        Ok(buffered.flush()?)
    });
    fed.map_err(|error| match error {
        FeedError::Tool(error) => ImageError::Tool(error),
        FeedError::Input(error) => error,
    })
}
