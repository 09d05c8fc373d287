//! `--format paths`: what to copy.

use std::io::IsTerminal;

use super::{Answer, escape_bytes};

/// Every path of every answer, sorted, each once. A pipe gets the bytes as they are, a terminal
/// gets control characters escaped.
#[must_use]
pub fn paths(answers: &[Answer], null: bool) -> Vec<u8> {
    let mut all: Vec<&[u8]> = Vec::with_capacity(answers.len() * 8);
    for answer in answers {
        if let Answer::Found(closure) = answer {
            closure.each_path(&mut |path| all.push(path.as_bytes()));
        }
    }
    // Thousands of programs share a few hundred libraries, and one text: what is at one address
    // is singled out before anything is compared byte by byte.
    all.sort_unstable_by_key(|path| path.as_ptr());
    all.dedup_by_key(|path| path.as_ptr());
    all.sort_unstable();
    all.dedup();
    let escape = !null && std::io::stdout().is_terminal();
    let mut out = Vec::with_capacity(all.len() * 48);
    for path in all {
        if escape {
            out.extend_from_slice(escape_bytes(path).as_bytes());
        } else {
            out.extend_from_slice(path);
        }
        out.push(if null { 0 } else { b'\n' });
    }
    out
}
