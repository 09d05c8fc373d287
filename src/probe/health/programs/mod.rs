//! Every program of a root through the ELF engine: what would not start, and what is missing.
//!
//! Which files count: programs (ELF files with an interpreter) wherever programs lie, and
//! libraries in the directories the loader searches. A library elsewhere is a plugin: somebody
//! loads it who has its needs in memory already, so what it lacks on its own says nothing; only
//! whether its file is whole is looked at. What programs need is followed wherever it leads.
//!
//! The work is done in forked workers (`workers`), each with an engine of its own; what they
//! find is folded before it crosses the pipe, so that a root whose libc is gone costs no more
//! than a healthy one.

mod file;
mod fold;
mod places;
mod workers;

pub use fold::{Machine, Programs, Trouble, Who, Wrong};
pub use places::search_directories;

use crate::root::Tree;

/// Looks at every program of `tree`.
#[must_use]
pub fn look(tree: &dyn Tree) -> Programs {
    let places = places::find(tree);
    workers::run(tree, &places)
}
