//! What a program needs, by the loader's own rules, without executing anything.
//!
//! Pure over a [`crate::root::Tree`]: no system call, no file of the host unless the tree is the
//! host. The rules are numbered as in `research/elf.md` section 5 (G1-G12 glibc, M1-M8 musl);
//! each has a fixture of that name in `tests/it/elf`.

mod types;

pub use types::{
    Closure, FoundBy, Interpreter, LoadedObject, Missing, Needer, ProgramKind, ScriptStep, Variant,
    VersionProblem,
};
