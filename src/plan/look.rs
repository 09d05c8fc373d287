//! Whether a program can start in a root, and if not, what exactly is in the way.
//!
//! The kernel says "No such file or directory" for a program that is there, when its loader or
//! its interpreter is not; and "Exec format error" for one of another machine.

use std::ffi::OsString;

use crate::elf::{Closure, CutOff, Needer, ProgramKind, ScriptStep, object::Target};
use crate::model::RootPath;

/// What is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is no such program.
    NotFound {
        /// As it was asked for.
        name: OsString,
        /// Where it was looked for; empty for a path.
        searched: Vec<RootPath>,
    },
    /// It is there, but is no program, or may not be executed.
    NotExecutable {
        /// The file.
        program: RootPath,
        /// "is a directory", "has no execute permission" …
        why: String,
    },
    /// It is a program for another machine.
    OtherMachine {
        /// The file.
        program: RootPath,
        /// "arm64", or the number that the file has.
        machine: String,
        /// qemu's name for it, where qemu can run it.
        qemu: Option<&'static str>,
    },
    /// The loader that it asks for is not there.
    NoLoader {
        /// The file.
        program: RootPath,
        /// PT_INTERP.
        loader: RootPath,
    },
    /// The program that its `#!` line asks for is not there.
    NoInterpreter {
        /// The script.
        program: RootPath,
        /// What it asks for.
        interpreter: OsString,
    },
    /// The program that its `#!` line asks for is there and of no use.
    NotRunBy {
        /// The script.
        program: RootPath,
        /// What is to run it.
        interpreter: RootPath,
        /// Why it does not.
        why: String,
    },
    /// Libraries are not there.
    NoLibraries {
        /// The file.
        program: RootPath,
        /// Each library, and who needs it.
        missing: Vec<(String, String)>,
    },
    /// A file is shorter than its headers say.
    CutOff {
        /// The program.
        program: RootPath,
        /// It, its loader or one of its libraries, and how much is left.
        files: Vec<CutOff>,
    },
    /// Libraries are there, but too old.
    WrongVersions {
        /// The file.
        program: RootPath,
        /// "libc.so.6 has no GLIBC_2.38, which /usr/bin/x needs"
        problems: Vec<String>,
    },
}

impl Obstacle {
    /// Whether the kernel would say that there is no such file (exit 127), as opposed to a
    /// program that is there and cannot run (exit 126).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        !matches!(
            self,
            Self::NotExecutable { .. }
                | Self::OtherMachine { .. }
                | Self::CutOff { .. }
                | Self::NotRunBy { .. }
        )
    }
}

/// `e_machine` numbers: ours, the names of uname(2) that run it, qemu's.
struct Machine {
    number: u16,
    name: &'static str,
    uname: &'static [&'static str],
    qemu: &'static str,
}

const MACHINES: &[Machine] = &[
    machine(
        3,
        "i386",
        &["i386", "i486", "i586", "i686", "x86_64"],
        "i386",
    ),
    machine(8, "mips", &["mips", "mips64"], "mips"),
    machine(20, "powerpc", &["ppc", "ppc64"], "ppc"),
    machine(21, "ppc64", &["ppc64", "ppc64le"], "ppc64le"),
    machine(22, "s390x", &["s390x"], "s390x"),
    machine(40, "arm", &["armv6l", "armv7l", "armv8l", "aarch64"], "arm"),
    machine(43, "sparc64", &["sparc64"], "sparc64"),
    machine(62, "amd64 (x86-64)", &["x86_64"], "x86_64"),
    machine(183, "arm64 (aarch64)", &["aarch64"], "aarch64"),
    machine(243, "riscv64", &["riscv64"], "riscv64"),
    machine(258, "loong64", &["loongarch64"], "loongarch64"),
];

const fn machine(
    number: u16,
    name: &'static str,
    uname: &'static [&'static str],
    qemu: &'static str,
) -> Machine {
    Machine {
        number,
        name,
        uname,
        qemu,
    }
}

/// What this kernel can run.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// `uname -m`.
    pub machine: String,
    /// Names of binfmt_misc's enabled entries: `qemu-aarch64`.
    pub emulated: Vec<String>,
}

/// The obstacle of a program for another machine, unless the kernel or an emulator runs it.
#[must_use]
pub fn foreign(program: &RootPath, target: Target, runs: &Runs) -> Option<Obstacle> {
    let known = MACHINES.iter().find(|it| it.number == target.machine);
    if known.is_some_and(|it| it.uname.contains(&runs.machine.as_str())) {
        return None;
    }
    let qemu = known.map(|it| it.qemu);
    if qemu.is_some_and(|qemu| runs.emulated.contains(&format!("qemu-{qemu}"))) {
        return None;
    }
    Some(Obstacle::OtherMachine {
        program: program.clone(),
        machine: known.map_or_else(
            || format!("machine number {}", target.machine),
            |it| it.name.to_owned(),
        ),
        qemu,
    })
}

/// What the closure of a program says about starting it.
#[must_use]
pub fn incomplete(closure: &Closure) -> Option<Obstacle> {
    let program = closure.program.clone();
    if let Some(step) = closure.script.iter().find(|step| step.missing.is_some()) {
        return Some(Obstacle::NoInterpreter {
            program,
            interpreter: step.missing.clone().unwrap_or_default(),
        });
    }
    let refused = |step: &ScriptStep| {
        let why = step.refused.clone()?;
        Some((step.program.clone(), why))
    };
    if let Some((interpreter, why)) = closure.script.iter().find_map(refused) {
        return Some(Obstacle::NotRunBy {
            program,
            interpreter,
            why,
        });
    }
    // For a script the objects are those of the last interpreter.
    let program = match (closure.kind, closure.script.last()) {
        (ProgramKind::Script, Some(step)) => step.program.clone(),
        _ => program,
    };
    if let Some(loader) = closure.interpreter.iter().find(|it| !it.present) {
        return Some(Obstacle::NoLoader {
            program,
            loader: loader.path.clone(),
        });
    }
    let needer = |needer: &Needer| match needer {
        Needer::Object(index) => closure
            .objects
            .get(*index)
            .map_or_else(|| program.to_string(), |object| object.path.to_string()),
        _ => program.to_string(),
    };
    if !closure.missing.is_empty() {
        let missing = closure
            .missing
            .iter()
            .map(|it| {
                let name = String::from_utf8_lossy(&it.name).into_owned();
                (name, needer(&it.needed_by))
            })
            .collect();
        return Some(Obstacle::NoLibraries { program, missing });
    }
    if !closure.cut_off.is_empty() {
        let files = closure.cut_off.clone();
        return Some(Obstacle::CutOff { program, files });
    }
    if closure.versions.is_empty() {
        return None;
    }
    let problems = closure
        .versions
        .iter()
        .map(|it| {
            format!(
                "{} has no {}, which {} needs",
                String::from_utf8_lossy(&it.object),
                String::from_utf8_lossy(&it.version),
                needer(&it.needed_by)
            )
        })
        .collect();
    Some(Obstacle::WrongVersions { program, problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(machine: u16) -> Target {
        Target {
            class: 2,
            little: true,
            machine,
        }
    }

    #[test]
    fn what_the_kernel_or_qemu_runs_is_not_foreign() {
        let mut runs = Runs {
            machine: String::from("x86_64"),
            emulated: Vec::new(),
        };
        let program = RootPath::new("/bin/sh");
        assert_eq!(foreign(&program, target(62), &runs), None);
        assert_eq!(foreign(&program, target(3), &runs), None);
        let obstacle = foreign(&program, target(183), &runs);
        assert!(
            matches!(
                &obstacle,
                Some(Obstacle::OtherMachine {
                    qemu: Some("aarch64"),
                    ..
                })
            ),
            "{obstacle:?}"
        );
        runs.emulated.push(String::from("qemu-aarch64"));
        assert_eq!(foreign(&program, target(183), &runs), None);
        assert!(foreign(&program, target(4242), &runs).is_some());
    }
}
