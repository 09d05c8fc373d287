//! `newroot jail export`: a jail becomes one file.

mod dress;
mod jail;
mod show;
mod target;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use crate::cli::Globals;
use crate::cli::export::{ExportArgs, ExportFormat};
use crate::error::{Exit, Failure};
use crate::image::{self, Gzip, Image, ImageError, OciConfig, Output, Policy};
use crate::model::Bytes;
use crate::ui::{Ui, shell_quote};

use target::Target;

/// What will be written, and how.
struct Choice {
    format: ExportFormat,
    gzip: bool,
    oci: OciConfig,
}

pub(super) fn run(args: &ExportArgs, globals: &Globals, ui: &Ui) -> anyhow::Result<Exit> {
    let (format, gzip) = target::format(args)?;
    dress::check_options(args, format)?;
    let epoch = dress::source_date_epoch(std::env::var_os("SOURCE_DATE_EPOCH"))?;
    let root = jail::open(&args.dir)?;
    let about = jail::describe(&root, &args.dir)?;
    let target = Target::check(args, format, &root)?;
    let policy = Policy {
        leave_out: vec![jail::manifest_directory()],
        builder: jail::builder(&root)?,
    };
    let failed = |error| failure(args, error);
    let mut image = Image::read(Arc::clone(&root), &policy).map_err(failed)?;
    if let Some(epoch) = epoch {
        image.clamp_times(epoch);
    }
    let added = dress::dress(&mut image, args, format, ui).map_err(failed)?;
    if let Some(epoch) = epoch {
        image.clamp_times(epoch);
    }
    let mut oci = dress::oci_config(args, &about)?;
    oci.created = epoch.unwrap_or_else(|| image.newest());
    oci.architecture = image::architecture_of(&image);
    let choice = Choice { format, gzip, oci };
    let text = show::shell(&image, args, &choice, &policy, epoch, &added);
    if globals.dry_run {
        ui.out(text.as_bytes())?;
        return Ok(Exit::Success);
    }
    ui.detail(text.trim_end());
    if target == Target::Stdout && ui.out_is_terminal() {
        return Err(terminal(args).into());
    }
    match write(&image, &choice, &target, ui) {
        // The reader has what it wanted.
        Err(ImageError::Write(error))
            if target == Target::Stdout && error.kind() == io::ErrorKind::BrokenPipe =>
        {
            return Ok(Exit::Success);
        }
        done => done.map_err(failed)?,
    }
    show::report(&image, args, &choice, ui);
    Ok(Exit::Success)
}

fn write(image: &Image, choice: &Choice, target: &Target, ui: &Ui) -> Result<(), ImageError> {
    let file = match (target, choice.format) {
        (Target::File(path), ExportFormat::OciDir) => {
            return image::write_oci_directory(image, &choice.oci, path);
        }
        (Target::File(path), ExportFormat::Squashfs) => {
            let output = Output::create(path)?;
            image::write_squashfs(image, &output.path())?;
            return output.commit();
        }
        (Target::Stdout, ExportFormat::Squashfs | ExportFormat::OciDir) => {
            // mksquashfs seeks in its output.
            let output = Output::create(&std::env::temp_dir().join("squashfs"))?;
            image::write_squashfs(image, &output.path())?;
            return output.copy_to(&mut ui.data()?);
        }
        (Target::File(path), _) => path,
        (Target::Stdout, _) => {
            return stream(image, choice, &std::env::temp_dir(), &mut ui.data()?);
        }
    };
    let mut output = Output::create(file)?;
    let spool = image::directory_of(file);
    stream(image, choice, &spool, output.file())?;
    output.commit()
}

/// Writes a format that is written from its first byte to its last. `spool` is where a temporary
/// file may be made.
fn stream(
    image: &Image,
    choice: &Choice,
    spool: &Path,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let mut buffered = BufWriter::with_capacity(128 * 1024, out);
    let body = |out: &mut dyn Write| match choice.format {
        ExportFormat::Cpio => image::write_cpio(image, out),
        ExportFormat::Oci => {
            image::write_oci_archive(image, &choice.oci, image::spool(spool)?, out)
        }
        ExportFormat::Tar | ExportFormat::OciDir | ExportFormat::Squashfs => {
            image::write_tar(image, out)
        }
    };
    if choice.gzip {
        // Small writes would make small blocks of work for the compressor.
        let mut gzip = BufWriter::with_capacity(64 * 1024, Gzip::new(&mut buffered));
        body(&mut gzip)?;
        let gzip = gzip.into_inner().map_err(io::Error::from)?;
        gzip.finish()?;
    } else {
        body(&mut buffered)?;
    }
    Ok(buffered.flush()?)
}

fn failure(args: &ExportArgs, error: ImageError) -> anyhow::Error {
    let what = format!("cannot export {}", shell_quote(&args.dir));
    let failure = Failure::new(what, error.to_string());
    let failure = match &error {
        ImageError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.hint("read it as root", "sudo newroot jail export ...")
        }
        ImageError::Changed { .. } => failure.hint("end what runs in it, then again", "newroot ps"),
        ImageError::Modules(_) => {
            let from = args.from.as_deref().unwrap_or_else(|| Path::new("/"));
            let modules = from.join("lib/modules");
            failure.hint(
                "the kernels there are",
                format!("ls {}", shell_quote(modules)),
            )
        }
        ImageError::Tool(crate::tool::ToolError::Missing { package, .. }) => {
            failure.hint("install it", format!("apt install {package}"))
        }
        _ => failure,
    };
    failure.caused_by(error).into()
}

fn terminal(args: &ExportArgs) -> Failure {
    let what = format!("cannot export {}", shell_quote(&args.dir));
    let dir = shell_quote(&args.dir);
    Failure::new(what, "an archive is no text for a terminal")
        .exit(Exit::Usage)
        .hint(
            "write a file",
            format!("newroot jail export {dir} FILE.tar"),
        )
        .hint(
            "or give it to a program",
            format!("newroot jail export --format tar {dir} - | ..."),
        )
}

/// `340 names, 12 MiB`.
fn extent(image: &Image) -> String {
    format!("{} names, {}", image.len(), Bytes(image.total_size()))
}
