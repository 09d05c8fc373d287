//! Before a program is started: can it start there, and if not, why not, and what helps.
//! Shared by every verb that runs something in a root.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::elf::{ElfError, Engine, Options, ProgramKind};
use crate::error::{Exit, Failure};
use crate::model::{HostPath, Kind, RootPath};
use crate::plan::look::{Obstacle, Runs, foreign, incomplete};
use crate::root::{Host, Tree, read};
use crate::sys;
use crate::ui::{escape_bytes, shell_quote};

/// Longer fstab files are not read.
const FSTAB_LIMIT: usize = 1 << 20;

/// What runs a text without `#!`, as execvp(3) says.
pub(super) const SHELL: &str = "/bin/sh";

/// A program that can start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path in the root.
    pub(super) program: RootPath,
    /// It is text without `#!`: execve(2) refuses it, and everybody gives it to sh then.
    pub(super) for_shell: bool,
}

/// Finds `name` in the root (through `path` when it has no slash) and looks whether it can start.
///
/// # Errors
/// What is in the way.
pub(super) fn look(
    tree: &dyn Tree,
    name: &OsStr,
    path: &[RootPath],
    directory: &RootPath,
) -> Result<Found, Obstacle> {
    let program = find(tree, name, path, directory)?;
    let mut engine = Engine::with_options(
        tree,
        Options {
            cpu: crate::probe::cpu::cpu,
            versions: true,
            path: path.to_vec(),
            ..Options::default()
        },
    );
    let closure = engine
        .closure(&program)
        .map_err(|error| refusal(&program, &error))?;
    if let Some(obstacle) = runs_here(&mut engine, &closure) {
        return Err(obstacle);
    }
    if let Some(obstacle) = incomplete(&closure) {
        return Err(obstacle);
    }
    let for_shell = closure.kind == ProgramKind::Data;
    if for_shell && executable(tree, &RootPath::new(SHELL)).is_err() {
        return Err(Obstacle::NotExecutable {
            program,
            why: format!("it is text without a #! line, and there is no {SHELL} to run it"),
        });
    }
    Ok(Found { for_shell, program })
}

/// Whether the ELF file at the end of the chain is for this machine.
fn runs_here(engine: &mut Engine<'_>, closure: &crate::elf::Closure) -> Option<Obstacle> {
    let binary = closure
        .script
        .last()
        .map_or(&closure.program, |step| &step.program)
        .clone();
    let object = engine.object(&binary).ok()?;
    foreign(&binary, object.target, &runs())
}

/// What this kernel runs, emulators included.
pub(super) fn runs() -> Runs {
    let directory = RootPath::new("/proc/sys/fs/binfmt_misc");
    let emulated = Host.list(&directory).unwrap_or_default().into_iter();
    let enabled = |name: &OsString| {
        read(&Host, &directory.join(name), 4096).is_ok_and(|text| text.starts_with(b"enabled"))
    };
    Runs {
        machine: sys::process::machine(),
        emulated: emulated
            .filter(enabled)
            .filter_map(|name| name.into_string().ok())
            .collect(),
    }
}

fn find(
    tree: &dyn Tree,
    name: &OsStr,
    path: &[RootPath],
    directory: &RootPath,
) -> Result<RootPath, Obstacle> {
    let not_found = |searched: &[RootPath]| Obstacle::NotFound {
        name: name.to_os_string(),
        searched: searched.to_vec(),
    };
    if name.as_bytes().contains(&b'/') {
        let program = if Path::new(name).is_absolute() {
            RootPath::new(name)
        } else {
            directory.join(name)
        };
        return match executable(tree, &program) {
            Ok(()) => Ok(program),
            Err(None) => Err(not_found(&[])),
            Err(Some(why)) => Err(Obstacle::NotExecutable { program, why }),
        };
    }
    path.iter()
        .map(|directory| directory.join(name))
        .find(|candidate| executable(tree, candidate).is_ok())
        .ok_or_else(|| not_found(path))
}

/// Why this cannot be executed; nothing where it is not there.
fn executable(tree: &dyn Tree, program: &RootPath) -> Result<(), Option<String>> {
    let meta = tree.stat(program).map_err(|error| {
        let errno = sys::errno_of(&error);
        let absent = [rustix::io::Errno::NOENT, rustix::io::Errno::NOTDIR];
        (!absent.contains(&errno)).then(|| sys::describe(errno))
    })?;
    match meta.kind {
        Kind::File if meta.mode & 0o111 != 0 => Ok(()),
        Kind::File => Err(Some(String::from("it has no execute permission"))),
        Kind::Directory => Err(Some(String::from("it is a directory"))),
        _ => Err(Some(String::from("it is no regular file"))),
    }
}

fn refusal(program: &RootPath, error: &ElfError) -> Obstacle {
    let why = match error {
        ElfError::Open { source, .. } => sys::describe(sys::errno_of(source)),
        ElfError::NotAFile { .. } => String::from("it is no regular file"),
        ElfError::Refused { reason, .. } => format!("it is a broken program ({reason})"),
    };
    Obstacle::NotExecutable {
        program: program.clone(),
        why,
    }
}

/// The obstacle as the user meets it (screens.md, screen 6).
pub(super) fn explain(obstacle: &Obstacle, tree: &dyn Tree, root: &HostPath) -> Failure {
    let place = shell_quote(root.as_path());
    let cannot = |program: &RootPath, why: &str| {
        Failure::new(format!("cannot start {program} in {root}"), why)
    };
    let failure = match obstacle {
        Obstacle::NotFound { name, searched } => not_found(name, searched, root),
        Obstacle::NotExecutable { program, why } => cannot(program, why),
        Obstacle::OtherMachine {
            program,
            machine,
            qemu,
        } => {
            let this = sys::process::machine();
            let failure = cannot(program, "it is a program for another machine")
                .detail(format!("it is for {machine}, and this machine is {this}"))
                .detail("(the kernel calls this \"Exec format error\")");
            match qemu {
                Some(qemu) => failure
                    .hint(
                        format!("let this machine run it through qemu-{qemu}"),
                        "apt install qemu-user-static binfmt-support",
                    )
                    .hint(
                        "read its files without running any",
                        format!("newroot closure --root {place} {program}"),
                    ),
                None => failure,
            }
        }
        Obstacle::NoLoader { program, loader } => cannot(program, "its loader is missing")
            .detail(format!(
                "{program} asks for {loader}; {}",
                first_missing(tree, loader, root)
            ))
            .detail("(the kernel calls this \"No such file or directory\")")
            .hint(
                "see everything it needs",
                format!("newroot closure --root {place} {program}"),
            ),
        Obstacle::NoInterpreter {
            program,
            interpreter,
        } => no_interpreter(
            cannot(
                program,
                "the program that its first line asks for is missing",
            ),
            program,
            interpreter,
            root,
        ),
        Obstacle::NotRunBy {
            program,
            interpreter,
            why,
        } => cannot(
            program,
            "the program that its first line asks for cannot run it",
        )
        .detail(format!("{interpreter}: {why}")),
        Obstacle::NoLibraries { program, missing } => {
            let mut failure = cannot(program, "libraries that it needs are missing");
            for (name, needer) in missing.iter().take(8) {
                failure = failure.detail(format!("{name}, which {needer} needs"));
            }
            failure.hint(
                "see where each was looked for",
                format!("newroot closure --root {place} {program}"),
            )
        }
        Obstacle::CutOff { program, files } => {
            let mut failure = cannot(program, "a file that it loads is cut off");
            for file in files.iter().take(8) {
                failure = failure.detail(format!("{}: {file}", file.path));
            }
            failure.detail("(started all the same, it would die of SIGBUS)")
        }
        Obstacle::WrongVersions { program, problems } => {
            let mut failure = cannot(program, "its libraries are too old for it");
            for problem in problems.iter().take(8) {
                failure = failure.detail(problem.clone());
            }
            failure.hint(
                "see which library is which",
                format!("newroot closure --root {place} {program}"),
            )
        }
    };
    let exit = if obstacle.is_not_found() {
        Exit::NotFound
    } else {
        Exit::NotRunnable
    };
    let failure = with_separate_usr(failure, tree, root);
    let failure = if is_cured_by_lending(obstacle) {
        with_lent(failure, root)
    } else {
        failure
    };
    failure.exit(exit)
}

fn no_interpreter(
    failure: Failure,
    program: &RootPath,
    interpreter: &OsStr,
    root: &HostPath,
) -> Failure {
    let failure = failure
        .detail(format!(
            "{program} begins with #! and asks for {}, which is not in {root}",
            escape_bytes(interpreter.as_bytes())
        ))
        .detail("(the kernel calls this \"No such file or directory\")");
    if !interpreter.as_bytes().ends_with(b"\r") {
        return failure;
    }
    let file = shell_quote(root.show_inside(program).as_path());
    failure
        .detail("the line ends in a carriage return, as on Windows")
        .hint("take that away", format!("sed -i 's/\\r$//' {file}"))
}

/// Whether other programs of the root are likely to meet the same obstacle.
fn is_cured_by_lending(obstacle: &Obstacle) -> bool {
    matches!(
        obstacle,
        Obstacle::OtherMachine { .. }
            | Obstacle::NoLoader { .. }
            | Obstacle::NoLibraries { .. }
            | Obstacle::CutOff { .. }
            | Obstacle::WrongVersions { .. }
    )
}

/// The way into a root whose own programs do not start.
pub(super) fn with_lent(failure: Failure, root: &HostPath) -> Failure {
    let verb = if crate::cli::knows("rescue") {
        "rescue"
    } else {
        "enter"
    };
    failure.hint(
        "work with this system's tools",
        format!("newroot {verb} --lent {}", shell_quote(root.as_path())),
    )
}

fn not_found(name: &OsStr, searched: &[RootPath], root: &HostPath) -> Failure {
    let shown = escape_bytes(name.as_bytes());
    let failure = Failure::new(
        format!("cannot start {shown} in {root}"),
        "there is no such program in the root",
    );
    if searched.is_empty() {
        return failure;
    }
    let directories: Vec<String> = searched.iter().map(RootPath::to_string).collect();
    failure.detail(format!("looked in {}", directories.join(", ")))
}

/// "/mnt/lib64 does not exist": the first part of the path that is not there.
fn first_missing(tree: &dyn Tree, path: &RootPath, root: &HostPath) -> String {
    let mut missing = path.clone();
    while missing.parent() != RootPath::root() && tree.stat(&missing.parent()).is_err() {
        missing = missing.parent();
    }
    let shown = root.show_inside(&missing).display().to_string();
    if let Ok(target) = tree.read_link(&missing) {
        return format!(
            "{shown} is a link to {}, which does not exist",
            target.display()
        );
    }
    if tree.stat(&missing).is_ok() {
        return format!("{shown} is there, but is not for this program");
    }
    format!("{shown} does not exist")
}

/// A system whose /usr is a filesystem of its own, which is not mounted: hardly anything is there.
pub(super) fn with_separate_usr(failure: Failure, tree: &dyn Tree, root: &HostPath) -> Failure {
    let Some(source) = usr_of_fstab(tree) else {
        return failure;
    };
    let is_empty = tree
        .list(&RootPath::new("/usr"))
        .map_or(true, |names| names.is_empty());
    if !is_empty {
        return failure;
    }
    let usr = root.join("usr");
    failure
        .detail(format!(
            "{root}/etc/fstab mounts {source} on /usr, and {usr} is empty: it is not mounted"
        ))
        .hint(
            "mount it",
            format!(
                "mount {} {}",
                shell_quote(&source),
                shell_quote(usr.as_path())
            ),
        )
}

fn usr_of_fstab(tree: &dyn Tree) -> Option<String> {
    let bytes = read(tree, &RootPath::new("/etc/fstab"), FSTAB_LIMIT).ok()?;
    String::from_utf8_lossy(&bytes).lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let source = fields.next().filter(|source| !source.starts_with('#'))?;
        (fields.next()? == "/usr").then(|| source.to_owned())
    })
}
