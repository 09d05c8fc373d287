//! The engine against the kernel and the loader: `LD_TRACE_LOADED_OBJECTS=1 FILE` makes ld.so
//! print what it loaded and stop before the program runs. Not ldd(1): that starts the loader
//! with the file as an argument, and is wrong for programs behind symlinks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use newroot::elf::{Closure, Engine, Options, ProgramKind};
use newroot::model::RootPath;
use newroot::probe::cpu::cpu;
use newroot::root::Host;

/// Loaders that honour the trace request. musl's and klibc's would run the program.
const GLIBC: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux.so.2"];

/// What one program loads: real paths, and names that were not found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loads {
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) missing: BTreeSet<String>,
}

/// Asks the loader. `None` where it cannot be asked without running the program.
pub(super) fn trace(program: &Path, closure: &Closure, env: &[(&str, &str)]) -> Option<Loads> {
    let interpreter = closure.interpreter.as_ref()?.path.to_string();
    let runs = !GLIBC.contains(&interpreter.as_str()) || gains_privileges(program);
    if runs || closure.kind != ProgramKind::Dynamic {
        return None;
    }
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .envs(env.iter().copied())
        .current_dir(empty.path())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    Some(parse(&output.stdout, &interpreter))
}

/// Set-id bits or file capabilities: for an ordinary user the loader is in secure mode, does not
/// look at the trace request, and runs the program (ping, of Debian's iputils-ping).
fn gains_privileges(program: &Path) -> bool {
    let mode = fs::metadata(program).map_or(0, |meta| meta.permissions().mode());
    let mut value = [0_u8; 64];
    let capable = rustix::fs::getxattr(program, "security.capability", &mut value[..]);
    mode & 0o6000 != 0 || capable.is_ok()
}

/// What ldd(1) does: how a library would be loaded by itself. No code of it runs.
fn list(library: &Path) -> Loads {
    let output = Command::new(GLIBC[0])
        .arg(library)
        .env_clear()
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .output()
        .unwrap();
    parse(&output.stdout, GLIBC[0])
}

fn parse(stdout: &[u8], interpreter: &str) -> Loads {
    let loader = fs::canonicalize(interpreter).unwrap();
    let mut loads = Loads::default();
    for line in stdout.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        if let Some(name) = line.strip_suffix(" => not found") {
            loads.missing.insert(name.to_string());
            continue;
        }
        let line = line.split(" (0x").next().unwrap();
        let path = line.split(" => ").last().unwrap();
        if path.starts_with('/') {
            let real = fs::canonicalize(path).unwrap();
            if real != loader {
                loads.files.insert(real);
            }
        }
    }
    loads
}

/// The same from the engine.
pub(super) fn loads_of(closure: &Closure) -> Loads {
    let files = closure
        .objects
        .iter()
        .map(|object| fs::canonicalize(object.path.as_path()).unwrap())
        .collect();
    let missing = closure
        .missing
        .iter()
        .map(|missing| String::from_utf8_lossy(&missing.name).into_owned())
        .collect();
    Loads { files, missing }
}

fn is_program(path: &Path) -> bool {
    let Ok(meta) = fs::metadata(path) else {
        return false;
    };
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

fn listed(directory: &str) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

fn below(directory: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// Compares; gives how many programs the loader answered for.
fn compare(mut programs: Vec<PathBuf>) -> usize {
    programs.sort();
    let options = Options {
        cpu,
        ..Options::default()
    };
    let mut engine = Engine::with_options(&Host, options);
    let mut compared = 0;
    let mut wrong = Vec::new();
    for program in programs.iter().filter(|path| is_program(path)) {
        let Ok(closure) = engine.closure(&RootPath::new(program)) else {
            continue;
        };
        let Some(truth) = trace(program, &closure, &[]) else {
            continue;
        };
        compared += 1;
        let found = loads_of(&closure);
        if found != truth {
            wrong.push(format!("{}:\n{found:?}\n{truth:?}", program.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    compared
}

#[test]
fn every_program_of_this_machine_loads_what_the_engine_says() {
    let mut programs = listed("/usr/bin");
    programs.extend(listed("/usr/sbin"));
    let compared = compare(programs);
    eprintln!("compared {compared} programs of /usr/bin and /usr/sbin");
    assert!(compared > 500, "only {compared} programs to compare with");
}

#[test]
fn programs_with_origin_load_what_the_engine_says() {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let mut places: Vec<PathBuf> = [".rustup/toolchains", ".pyenv/versions", ".local/bin"]
        .iter()
        .map(|name| home.join(name))
        .collect();
    let fixed = [
        "/usr/local",
        "/usr/lib/jvm",
        "/usr/lib/git-core",
        "/usr/libexec",
        "/usr/lib/systemd",
        "/usr/lib/llvm-14/bin",
        "/opt",
    ];
    places.extend(fixed.iter().map(PathBuf::from));
    // Where rustup's toolchain is otherwise: the one that runs this test.
    let rustc = option_env!("RUSTUP_HOME").map(PathBuf::from);
    places.extend(rustc);
    let programs: Vec<PathBuf> = places
        .iter()
        .flat_map(|place| below(place))
        .filter(|path| !path.as_os_str().as_bytes().ends_with(b".so"))
        .collect();
    let compared = compare(programs);
    eprintln!("compared {compared} programs elsewhere");
    assert!(compared > 20, "only {compared} programs to compare with");
}

/// Libraries as roots of their own, RPATH and RUNPATH with them.
#[test]
fn libraries_of_this_machine_load_what_the_engine_says() {
    let options = Options {
        cpu,
        ..Options::default()
    };
    let mut engine = Engine::with_options(&Host, options);
    let (mut compared, mut wrong) = (0, Vec::new());
    let mut libraries = listed("/usr/lib/x86_64-linux-gnu");
    libraries.extend(below(Path::new("/usr/lib/jvm")));
    for library in libraries {
        if !library.to_string_lossy().contains(".so") || library.is_symlink() {
            continue;
        }
        let Ok(closure) = engine.closure(&RootPath::new(&library)) else {
            continue;
        };
        let x86_64 = engine
            .object(&RootPath::new(&library))
            .is_ok_and(|object| object.target.machine == 62 && object.target.class == 2);
        // One that names a loader is a program (libc.so.6), and is asked as one above.
        if closure.kind != ProgramKind::Library || !x86_64 {
            continue;
        }
        let (found, truth) = (loads_of(&closure), list(&library));
        // The loader stops at the first error; the engine goes on.
        let stopped = closure.missing.iter().any(|it| it.refused.is_some());
        compared += 1;
        if found != truth && !stopped {
            wrong.push(format!("{}:\n{found:?}\n{truth:?}", library.display()));
        }
    }
    eprintln!("compared {compared} libraries");
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(compared > 100, "only {compared} libraries to compare with");
}
