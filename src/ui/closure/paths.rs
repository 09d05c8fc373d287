//! `--format paths`: what to copy.

use std::io::IsTerminal;

use super::{Answer, text_of};
use crate::model::RootPath;

/// Every path of every answer, sorted, each once. A pipe gets the bytes as they are, a terminal
/// gets control characters escaped.
#[must_use]
pub fn paths(answers: &[Answer], null: bool) -> Vec<u8> {
    let mut all: Vec<RootPath> = Vec::new();
    for answer in answers {
        if let Answer::Found(closure) = answer {
            closure.add_paths(&mut all);
        }
    }
    all.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    all.dedup();
    let escape = !null && std::io::stdout().is_terminal();
    let mut out = Vec::with_capacity(all.len() * 48);
    for path in &all {
        if escape {
            out.extend_from_slice(text_of(path).as_bytes());
        } else {
            out.extend_from_slice(path.as_bytes());
        }
        out.push(if null { 0 } else { b'\n' });
    }
    out
}
