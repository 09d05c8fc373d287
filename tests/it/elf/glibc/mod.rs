//! A fixture for each of glibc's rules, G1 to G12, named after it. Where a compiler can make the
//! case, the truth is the real loader; where not, the expected answer is the rule's.

mod objects;
mod order;
mod search;

use newroot::elf::{Closure, Engine};
use newroot::model::RootPath;
use newroot::root::{Mem, Tree};

use super::writer::loader;
use crate::support::Need;

const GCC: &[Need] = &[Need::Command("gcc")];
const OLD: &str = "-Wl,--disable-new-dtags";
const NEW: &str = "-Wl,--enable-new-dtags";

/// A tree with a loader and an empty default directory.
fn tree() -> Mem {
    Mem::new()
        .with_file("/lib64/ld-linux-x86-64.so.2", loader())
        .with_dir("/usr/lib")
}

fn closure(tree: &dyn Tree, program: &str) -> Closure {
    Engine::new(tree).closure(&RootPath::new(program)).unwrap()
}
