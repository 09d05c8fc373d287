//! `newroot closure`: resolve every FILE, print them in one form, say what is missing.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cli::closure::{ClosureArgs, Format};
use crate::elf::{Closure, ElfError, Engine, Options};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, RootPath};
use crate::probe;
use crate::root::{Host, InRoot, Tree};
use crate::ui::{Ui, closure as show};

pub(super) fn run(args: &ClosureArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let format = if args.json { Format::Json } else { args.format };
    let foreign = args.root.as_deref().map(open_root).transpose()?;
    let tree: &dyn Tree = foreign.as_ref().map_or(&Host, |root| root);
    let mut engine = Engine::with_options(tree, options(args, format)?);
    let mut answers = Vec::with_capacity(args.files.len());
    let mut exit = Exit::Success;
    for file in &args.files {
        let path = locate(&engine, file, foreign.as_ref(), ui)?;
        match engine.closure(&path) {
            Ok(closure) => {
                exit = worse(exit, report(&closure, ui));
                answers.push(show::Answer::Found(Box::new(closure)));
            }
            Err(error) => {
                exit = worse(exit, refuse(file, &error, args.root.as_deref(), ui));
                answers.push(show::Answer::Failed(path, error.to_string()));
            }
        }
    }
    let text = match (&args.why, format) {
        (Some(soname), _) => {
            let (text, found) = show::why(&answers, soname.as_bytes(), ui);
            exit = worse(exit, if found { Exit::Success } else { Exit::Findings });
            text
        }
        (None, Format::Tree) => show::tree(&answers, ui),
        (None, Format::Paths) => show::paths(&answers, args.null),
        (None, Format::Json) => show::json(&answers, args.notes)?,
        (None, Format::Dot) => show::dot(&answers),
    };
    ui.out(&text)?;
    Ok(exit)
}

/// What each format needs to know; `paths` reads neither notes nor versions.
fn options(args: &ClosureArgs, format: Format) -> anyhow::Result<Options> {
    let cwd = match &args.root {
        Some(_) => RootPath::root(),
        None => RootPath::new(std::env::current_dir()?),
    };
    let checks = args.why.is_none() && matches!(format, Format::Tree | Format::Json);
    Ok(Options {
        cpu: probe::cpu::cpu,
        versions: checks,
        notes: args.notes && format != Format::Paths,
        library_path: args
            .library_path
            .as_ref()
            .map(|path| path.as_bytes().to_vec())
            .unwrap_or_default(),
        preload: args
            .preload
            .as_ref()
            .map(|names| names.as_bytes().to_vec())
            .unwrap_or_default(),
        cwd,
        ..Options::default()
    })
}

fn open_root(path: &Path) -> anyhow::Result<InRoot> {
    let open = InRoot::open(&HostPath::new(path));
    open.map_err(|error| {
        Failure::new(
            format!("cannot use {} as a root", quoted(path)),
            errno_text(&error),
        )
        .into()
    })
}

/// Turns FILE as it was typed into a path inside the root: relative to the working directory,
/// with the root's own prefix taken off, or (a bare name that is no file here) from the PATH of
/// the root.
fn locate(
    engine: &Engine<'_>,
    file: &Path,
    root: Option<&InRoot>,
    ui: &Ui,
) -> anyhow::Result<RootPath> {
    let typed = match root {
        None => RootPath::new(std::path::absolute(file)?),
        Some(root) => inside(engine, file, root)?,
    };
    let bare = !file.as_os_str().as_bytes().contains(&b'/');
    if !bare || engine.tree().stat(&typed).is_ok() {
        return Ok(typed);
    }
    let Some(found) = engine.which(file.as_os_str().as_bytes()) else {
        return Ok(typed);
    };
    ui.detail(&format!(
        "{} is no file here; taken from the PATH of the root: {}",
        quoted(file),
        quoted(found.as_path())
    ));
    Ok(found)
}

fn inside(engine: &Engine<'_>, file: &Path, root: &InRoot) -> anyhow::Result<RootPath> {
    let direct = RootPath::new(file);
    if file.is_absolute() && engine.tree().lstat(&direct).is_ok() {
        return Ok(direct);
    }
    // `--root /mnt /mnt/bin/x`, or a relative FILE while standing inside the root.
    let inside = root.find_inside(&std::path::absolute(file)?);
    Ok(inside.unwrap_or(direct))
}

/// One line on stderr for each thing that start-up would miss.
fn report(closure: &Closure, ui: &Ui) -> Exit {
    let lines = show::complaints(closure);
    for line in &lines {
        ui.complain(line);
    }
    if lines.is_empty() {
        Exit::Success
    } else {
        Exit::Findings
    }
}

/// A FILE without a closure: a broken ELF file is a finding, one that cannot be opened an error.
fn refuse(file: &Path, error: &ElfError, root: Option<&Path>, ui: &Ui) -> Exit {
    let name = quoted(file);
    let place = root.map_or(String::new(), |root| format!(" in {}", quoted(root)));
    let (why, exit) = match error {
        ElfError::Open { source, .. } => (errno_text(source), Exit::Failed),
        ElfError::NotAFile { .. } => (tail(error), Exit::Failed),
        ElfError::Refused { .. } => (tail(error), Exit::Findings),
    };
    ui.complain(&format!("cannot read {name}{place}: {why}"));
    exit
}

/// The error without its leading path, which the message has already.
fn tail(error: &ElfError) -> String {
    let path = match error {
        ElfError::Open { path, .. }
        | ElfError::NotAFile { path, .. }
        | ElfError::Refused { path, .. } => path.to_string(),
    };
    let text = error.to_string();
    match text.strip_prefix(&path) {
        Some(rest) => rest.trim_start_matches(": ").to_string(),
        None => text,
    }
}

fn worse(one: Exit, other: Exit) -> Exit {
    if other.code() > one.code() {
        other
    } else {
        one
    }
}

fn quoted(path: &Path) -> String {
    crate::ui::escape_bytes(path.as_os_str().as_bytes())
}

fn errno_text(error: &std::io::Error) -> String {
    crate::sys::describe(crate::sys::errno_of(error))
}
