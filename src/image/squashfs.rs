//! squashfs, made by mksquashfs from the tar archive that we feed it: owners, links, attributes
//! and times are those of the image, whoever runs it.

use std::ffi::OsString;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;

use super::entry::Image;
use super::{ImageError, write_tar};
use crate::model::RootPath;
use crate::tool::{FeedError, Tool, ToolError, feed};

/// The arguments of mksquashfs (4.5 or later, for `-tar`).
///
/// It makes the root directory by itself, whatever the archive says about it, and 4.5 does so with
/// the caller's uid and the current time (4.6 takes the `-root-*` options). So where everything is
/// root's, as when a normal user exports, `-all-root` says it; and the time is bounded by
/// SOURCE_DATE_EPOCH, see [`epoch`].
#[must_use]
pub fn command_line(image: &Image, output: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["-".into(), output.into()];
    words.extend(["-tar", "-noappend", "-no-progress"].map(OsString::from));
    if image
        .entries()
        .all(|entry| entry.uid == 0 && entry.gid == 0)
    {
        words.push("-all-root".into());
    }
    if let Some(root) = image.get(&RootPath::root()) {
        let pairs = [
            ("-root-mode", format!("{:o}", root.mode)),
            ("-root-uid", root.uid.to_string()),
            ("-root-gid", root.gid.to_string()),
            ("-root-time", root.modified.max(0).to_string()),
        ];
        for (option, value) in pairs {
            words.extend([OsString::from(option), OsString::from(value)]);
        }
    }
    words
}

/// What SOURCE_DATE_EPOCH has to be for mksquashfs: it is the time in the superblock, which would
/// be the clock's otherwise, and no time of a file is later.
#[must_use]
pub fn epoch(image: &Image) -> String {
    let seconds = u32::try_from(image.newest().max(0)).unwrap_or(u32::MAX);
    seconds.to_string()
}

/// Writes the image to the file `output`, which may exist.
///
/// # Errors
/// mksquashfs is missing or failed, or a file cannot be read.
pub fn write_squashfs(image: &Image, output: &Path) -> Result<(), ImageError> {
    let tool = Tool::new("mksquashfs", "squashfs-tools")
        .args(command_line(image, output))
        .env("SOURCE_DATE_EPOCH", epoch(image));
    let fed = feed(&tool, |input| {
        let mut buffered = BufWriter::with_capacity(64 * 1024, input);
        write_tar(image, &mut buffered)?;
        Ok(buffered.flush()?)
    });
    fed.map_err(|error| match error {
        FeedError::Tool(error) => ImageError::Tool(error),
        // The pipe to mksquashfs broke, which is not our reader going away.
        FeedError::Input(ImageError::Write(source)) => ImageError::Tool(ToolError::Start {
            program: "mksquashfs",
            source,
        }),
        FeedError::Input(error) => error,
    })
}
