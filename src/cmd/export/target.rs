//! Where the file goes and what format it has: decided and checked before anything is read.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::export::{ExportArgs, ExportFormat};
use crate::error::{Exit, Failure};
use crate::image;
use crate::model::{HostPath, Kind, RootPath};
use crate::root::{Host, InRoot, Tree};
use crate::ui::shell_quote;

/// Where an image is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `-`
    Stdout,
    /// A file, or the directory of `oci-dir`.
    File(PathBuf),
}

/// Endings, the longer ones first; whether gzip comes on top.
const ENDINGS: &[(&str, ExportFormat, bool)] = &[
    (".oci.tar", ExportFormat::Oci, false),
    (".tar.gz", ExportFormat::Tar, true),
    (".cpio.gz", ExportFormat::Cpio, true),
    (".tgz", ExportFormat::Tar, true),
    (".tar", ExportFormat::Tar, false),
    (".cpio", ExportFormat::Cpio, false),
    (".oci", ExportFormat::Oci, false),
    (".squashfs", ExportFormat::Squashfs, false),
    (".sfs", ExportFormat::Squashfs, false),
];

/// The format asked for, or that of the ending; tar and cpio are gzipped when FILE ends in `.gz`
/// or `.tgz`.
pub(super) fn format(args: &ExportArgs) -> Result<(ExportFormat, bool), Failure> {
    let name = args
        .file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let by_ending = ENDINGS.iter().find(|(ending, ..)| name.ends_with(ending));
    let can_gzip = |format| matches!(format, ExportFormat::Tar | ExportFormat::Cpio);
    if let Some(format) = args.format {
        let gzip = can_gzip(format) && (name.ends_with(".gz") || name.ends_with(".tgz"));
        return Ok((format, gzip));
    }
    if let Some((_, format, gzip)) = by_ending {
        return Ok((*format, *gzip));
    }
    let dir = shell_quote(&args.dir);
    let what = format!("cannot tell what to write to {}", shell_quote(&args.file));
    let other = [".zst", ".xz", ".bz2", ".lz4"]
        .iter()
        .find(|ending| name.ends_with(**ending));
    if let Some(ending) = other {
        let program = match *ending {
            ".zst" => "zstd",
            ".xz" => "xz",
            ".bz2" => "bzip2",
            _ => "lz4",
        };
        let inner = if name.contains(".cpio") {
            "cpio"
        } else {
            "tar"
        };
        let file = shell_quote(&args.file);
        let line = format!("newroot jail export --format {inner} {dir} - | {program} > {file}");
        return Err(Failure::new(what, "newroot compresses with gzip only")
            .exit(Exit::Usage)
            .hint("let the program do it", line));
    }
    let file = shell_quote(&args.file);
    Err(
        Failure::new(what, "its ending is none of those that name a format")
            .exit(Exit::Usage)
            .detail(".tar .tar.gz .cpio .cpio.gz .oci .oci.tar .squashfs .sfs")
            .hint(
                "say it",
                format!("newroot jail export --format tar|cpio|oci|oci-dir|squashfs {dir} {file}"),
            ),
    )
}

impl Target {
    /// Looks at what is at FILE. A file is replaced, an empty directory filled by `oci-dir`;
    /// nothing else is touched.
    pub(super) fn check(
        args: &ExportArgs,
        format: ExportFormat,
        root: &InRoot,
    ) -> Result<Self, Failure> {
        let shown = shell_quote(&args.file);
        let refuse = |why: String| Failure::new(format!("cannot write to {shown}"), why);
        let directory = format == ExportFormat::OciDir;
        if args.file.as_os_str() == "-" {
            return if directory {
                Err(refuse("oci-dir is a directory, not a stream".to_string())
                    .exit(Exit::Usage)
                    .hint("an archive of it", "--format oci"))
            } else {
                Ok(Self::Stdout)
            };
        }
        let meta = match std::path::absolute(&args.file) {
            Ok(path) => Host.lstat(&RootPath::new(path)),
            Err(error) => Err(error),
        };
        match meta.map(|meta| meta.kind) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refuse(error.to_string()).caused_by(error)),
            Ok(Kind::File) if !directory => {}
            Ok(Kind::Directory) if directory => check_empty(&args.file, &refuse)?,
            Ok(Kind::Directory) => {
                let failure = refuse("it is a directory".to_string()).exit(Exit::Usage);
                return Err(failure.hint("an image layout is one", "--format oci-dir"));
            }
            Ok(Kind::Link) => {
                return Err(refuse("it is a link, and would be replaced".to_string())
                    .hint("name what it leads to", format!("readlink -f {shown}")));
            }
            Ok(_) => {
                let dir = shell_quote(&args.dir);
                let line = format!("newroot jail export --format ... {dir} - > {shown}");
                return Err(refuse("it is no regular file".to_string())
                    .hint("write through it as a stream", line));
            }
        }
        match image::is_inside(&args.file, root) {
            Ok(false) => Ok(Self::File(args.file.clone())),
            Ok(true) => Err(refuse(
                "it would lie inside the jail, and in its own next image".into(),
            )
            .hint(
                "name a place outside",
                format!("of {}", shell_quote(&args.dir)),
            )),
            Err(error) => Err(refuse(format!("its directory: {error}")).caused_by(error)),
        }
    }
}

fn check_empty(path: &Path, refuse: &dyn Fn(String) -> Failure) -> Result<(), Failure> {
    let names = InRoot::open(&HostPath::new(path)).and_then(|root| root.list(&RootPath::root()));
    match names {
        Ok(names) if names.is_empty() => Ok(()),
        Ok(_) => Err(refuse("it is a directory with something in it".to_string())
            .hint("a new directory", "is made by newroot itself")),
        Err(error) => Err(refuse(error.to_string()).caused_by(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(format: Option<ExportFormat>, file: &str) -> ExportArgs {
        ExportArgs {
            format,
            dir: PathBuf::from("jail"),
            file: PathBuf::from(file),
            ..ExportArgs::default()
        }
    }

    #[test]
    fn the_ending_names_the_format_where_no_option_does() {
        let table = [
            ("x.tar", ExportFormat::Tar, false),
            ("x.tar.gz", ExportFormat::Tar, true),
            ("x.oci.tar", ExportFormat::Oci, false),
            ("x.cpio.gz", ExportFormat::Cpio, true),
            ("a.tar/x.sfs", ExportFormat::Squashfs, false),
        ];
        for (file, kind, gzip) in table {
            assert_eq!(format(&args(None, file)).unwrap(), (kind, gzip), "{file}");
        }
        let cpio = Some(ExportFormat::Cpio);
        assert_eq!(
            format(&args(cpio, "initrd.gz")).unwrap(),
            (ExportFormat::Cpio, true)
        );
        assert_eq!(
            format(&args(cpio, "-")).unwrap(),
            (ExportFormat::Cpio, false)
        );
        let oci = Some(ExportFormat::Oci);
        assert_eq!(
            format(&args(oci, "x.gz")).unwrap(),
            (ExportFormat::Oci, false)
        );
    }

    #[test]
    fn without_either_the_hint_names_the_command() {
        for (file, hint) in [
            ("-", "--format tar|cpio|oci|oci-dir|squashfs jail -"),
            ("x.tar.zst", "--format tar jail - | zstd > x.tar.zst"),
            ("x.cpio.xz", "--format cpio jail - | xz > x.cpio.xz"),
        ] {
            let failure = format(&args(None, file)).unwrap_err();
            assert!(failure.hints[0].command.contains(hint), "{failure:?}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }
}
