//! `-n`: shell commands that write the same tree; and the report afterwards.

use crate::cli::export::{ExportArgs, ExportFormat};
use crate::image::{Image, Lost, Policy, squashfs_command, squashfs_epoch};
use crate::model::{RootPath, shell_word};
use crate::ui::{Ui, shell_quote};

use super::{Choice, extent};

/// How many lost files are named one by one without `-v`.
const NAMED: usize = 5;

pub(super) fn shell(
    image: &Image,
    args: &ExportArgs,
    choice: &Choice,
    policy: &Policy,
    epoch: Option<i64>,
    added: &[String],
) -> String {
    let dir = shell_quote(&args.dir);
    let into = match (args.file.as_os_str() == "-", choice.gzip) {
        (true, true) => " | gzip -n".to_string(),
        (true, false) => String::new(),
        (false, true) => format!(" | gzip -n > {}", shell_quote(&args.file)),
        (false, false) => format!(" > {}", shell_quote(&args.file)),
    };
    let tar = tar_line(&dir, policy, epoch);
    let line = match choice.format {
        ExportFormat::Tar => format!("{tar}{into}"),
        ExportFormat::Cpio => {
            let owner = if policy.builder.is_some() {
                " -R +0:+0"
            } else {
                ""
            };
            format!(
                "(cd {dir} && find . -path ./.newroot -prune -o -print0 | LC_ALL=C sort -z |\n    \
                 cpio -o0 -H newc --reproducible{owner}){into}"
            )
        }
        ExportFormat::Squashfs => {
            let words = squashfs_command(image, &args.file);
            let words: Vec<String> = words.iter().map(shell_quote).collect();
            format!(
                "{tar} |\n    SOURCE_DATE_EPOCH={} mksquashfs {}",
                squashfs_epoch(image),
                words.join(" ")
            )
        }
        ExportFormat::Oci | ExportFormat::OciDir => oci_words(args, choice, &tar),
    };
    let mut text = format!("{line}\n");
    for what in added {
        text.push_str(&format!("# with {what}\n"));
    }
    for note in &image.notes {
        text.push_str(&format!(
            "# without {} ({})\n",
            quoted(&note.path),
            reason(note.lost)
        ));
    }
    text.push_str(&format!("# {}\n", extent(image)));
    text
}

fn tar_line(dir: &str, policy: &Policy, epoch: Option<i64>) -> String {
    let owner = if policy.builder.is_some() {
        " --owner=0 --group=0"
    } else {
        ""
    };
    let clamp = epoch.map_or_else(String::new, |epoch| {
        format!(" --clamp-mtime --mtime=@{epoch}")
    });
    format!(
        "tar -C {dir} -c --sort=name --format=pax --pax-option=delete=atime,delete=ctime \\\n    \
         --xattrs --numeric-owner{owner}{clamp} --exclude=./.newroot ."
    )
}

/// No one command makes an OCI image: the layer is the tar, the rest is said in words.
fn oci_words(args: &ExportArgs, choice: &Choice, tar: &str) -> String {
    let config = &choice.oci;
    let kind = if choice.format == ExportFormat::Oci {
        "archive"
    } else {
        "layout"
    };
    let name = config.tag.as_deref().unwrap_or("latest");
    let start: Vec<&String> = config.entrypoint.iter().chain(&config.command).collect();
    let start: Vec<String> = start
        .iter()
        .map(|word| shell_word(word.as_bytes()))
        .collect();
    format!(
        "# an OCI {kind} {} named {name}, for linux/{}, starting: {}\n\
         # its only layer:\n{tar} | gzip -n",
        shell_quote(&args.file),
        config.architecture.0,
        if start.is_empty() {
            "nothing (see --entrypoint)".to_string()
        } else {
            start.join(" ")
        },
    )
}

pub(super) fn report(image: &Image, args: &ExportArgs, choice: &Choice, ui: &Ui) {
    for (count, note) in image.notes.iter().enumerate() {
        let line = format!("left out: {} ({})", quoted(&note.path), reason(note.lost));
        if count < NAMED {
            ui.note(&line);
        } else {
            ui.detail(&line);
        }
    }
    if image.notes.len() > NAMED && !ui.verbose() {
        ui.note(&format!(
            "and {} more (-v names them)",
            image.notes.len() - NAMED
        ));
    }
    let oci = matches!(choice.format, ExportFormat::Oci | ExportFormat::OciDir);
    if oci && choice.oci.entrypoint.is_empty() && choice.oci.command.is_empty() {
        ui.warn("the image says not what to start (see --entrypoint)");
    }
    if args.file.as_os_str() != "-" {
        ui.note(&format!(
            "wrote {}: {}",
            shell_quote(&args.file),
            extent(image)
        ));
    }
}

fn quoted(path: &RootPath) -> String {
    shell_word(path.as_bytes())
}

fn reason(lost: Lost) -> &'static str {
    match lost {
        Lost::Socket => "a socket",
        Lost::Mount => "another file system is mounted there: an empty directory instead",
        Lost::MountedFile => "a file is mounted over it",
        Lost::Device => "a device node, which container runtimes make themselves",
        Lost::Unknown => "of a type that newroot does not know",
    }
}
