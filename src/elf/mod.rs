//! What a program needs, by the loader's own rules, without executing anything.
//!
//! Pure over a [`crate::root::Tree`]: no system call, no file of the host unless the tree is the
//! host. The rules are numbered as in `research/elf.md` section 5 (G1-G12 glibc, M1-M8 musl);
//! each has a fixture of that name in `tests/it/elf`.
//!
//! [`Engine`] is the door. `object` reads one file, `loader` says what is compiled into a loader,
//! `walk` is the worklist, `glibc` and `musl` are the search rules, `find` judges a candidate.

mod answer;
pub mod cache;
pub mod cache_write;
mod cpu;
pub mod dst;
mod dynamic;
mod engine;
mod find;
mod glibc;
mod loader;
mod musl;
mod names;
pub mod notes;
pub mod object;
mod read;
mod script;
pub mod symbols;
mod target;
mod types;
mod variants;
pub mod versions;
mod walk;

pub use crate::model::Cpu;
pub use engine::{ElfError, Engine, Options};
pub use object::Object;
pub use types::{
    Closure, CutOff, DlopenNote, FoundBy, Interpreter, LoadedObject, Missing, Needer, ProgramKind,
    ScriptStep, Variant, VersionProblem,
};
