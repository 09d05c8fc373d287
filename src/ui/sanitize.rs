//! Names from a disk may hold anything; a terminal obeys control characters.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Makes text safe for a terminal: control and bidirectional characters become `\xNN` or
/// `\u{NNNN}`; newlines stay, since a report has lines.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || !is_dangerous(character) {
            out.push(character);
        } else if u32::from(character) < 0x100 {
            write!(out, "\\x{:02x}", u32::from(character)).ok();
        } else {
            write!(out, "\\u{{{:x}}}", u32::from(character)).ok();
        }
    }
    out
}

/// The same for bytes that need not be UTF-8; here a newline is escaped as well, since a name
/// must not forge a line.
#[must_use]
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()).replace('\n', "\\n"));
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").ok();
        }
    }
    out
}

/// C0, DEL, C1, and the characters that reorder or hide text (Unicode TR 36).
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{61c}')
}

/// Quotes a word for sh(1): left alone when it is harmless, `'…'` otherwise.
#[must_use]
pub fn shell_quote(path: impl AsRef<Path>) -> String {
    crate::model::shell_word(path.as_ref().as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_bidi_characters_never_reach_the_terminal() {
        assert_eq!(escape("a\x1b[31mb\r\n"), "a\\x1b[31mb\\x0d\n");
        assert_eq!(escape("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(escape_bytes(b"n\nm\xff"), "n\\nm\\xff");
    }
}
