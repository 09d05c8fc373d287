//! Words for sh(1): what `-n` prints must do the same when pasted, whatever a name holds.

use std::fmt::Write as _;

/// Quotes one word: left alone when it is harmless, `'…'` when it is printable, `$'…'`
/// (bash, busybox, dash since 0.5.13 as POSIX.1-2024 has it) when it holds control characters.
#[must_use]
pub fn shell_word(bytes: &[u8]) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(harmless) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let text = std::str::from_utf8(bytes).ok();
    if let Some(text) = text.filter(|text| !text.chars().any(char::is_control)) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut out = String::from("$'");
    for byte in bytes {
        match byte {
            b'\'' | b'\\' => write!(out, "\\{}", char::from(*byte)),
            0x20..=0x7e => write!(out, "{}", char::from(*byte)),
            _ => write!(out, "\\x{byte:02x}"),
        }
        .ok();
    }
    out.push('\'');
    out
}

/// Quotes the content of a text file: its lines stay lines, which every sh(1) understands. What
/// no terminal should get is quoted as by [`shell_word`].
#[must_use]
pub fn shell_text(bytes: &[u8]) -> String {
    let is_plain = |character: char| character == '\n' || !character.is_control();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\n') && text.chars().all(is_plain) => {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
        _ => shell_word(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{shell_text, shell_word};

    #[test]
    fn words_are_quoted_only_where_the_shell_would_read_them_otherwise() {
        assert_eq!(shell_word(b"/usr/bin/x86-64"), "/usr/bin/x86-64");
        assert_eq!(shell_word(b""), "''");
        assert_eq!(shell_word(b"a;touch PWNED"), "'a;touch PWNED'");
        assert_eq!(shell_word(b"it's"), "'it'\\''s'");
        assert_eq!(shell_word(b"a\nb"), "$'a\\x0ab'");
        assert_eq!(shell_text(b"it's\nb"), "'it'\\''s\nb'");
        assert_eq!(shell_text(b"a\x1b\n"), "$'a\\x1b\\x0a'");
        assert_eq!(shell_text(b"ab"), "ab");
    }
}
