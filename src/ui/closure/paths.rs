//! `--format paths`: what to copy.

use std::collections::HashSet;
use std::io::IsTerminal;

use super::{Answer, escape_bytes};

/// Every path of every answer, sorted, each once. A pipe gets the bytes as they are, a terminal
/// gets control characters escaped.
#[must_use]
pub fn paths(answers: &[Answer], null: bool) -> Vec<u8> {
    // Thousands of programs share a few hundred libraries: single out first, then sort.
    let mut seen: HashSet<&[u8]> = HashSet::with_capacity(answers.len() * 2);
    for answer in answers {
        if let Answer::Found(closure) = answer {
            closure.each_path(&mut |path| {
                seen.insert(path.as_bytes());
            });
        }
    }
    let mut all: Vec<&[u8]> = seen.into_iter().collect();
    all.sort_unstable();
    let escape = !null && std::io::stdout().is_terminal();
    let mut out = Vec::with_capacity(all.len() * 48);
    for path in &all {
        if escape {
            out.extend_from_slice(escape_bytes(path).as_bytes());
        } else {
            out.extend_from_slice(path);
        }
        out.push(if null { 0 } else { b'\n' });
    }
    out
}
