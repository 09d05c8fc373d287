//! Dynamic string tokens: `$ORIGIN`, `$LIB`, `$PLATFORM` and their braced forms (rule G10).

/// What the tokens stand for; `None` where the loader has no value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens<'a> {
    /// The directory of the object that the text comes from.
    pub origin: Option<&'a [u8]>,
    /// The loader's built-in library directory, `lib/x86_64-linux-gnu`.
    pub lib: Option<&'a [u8]>,
    /// The CPU's name, `x86_64`.
    pub platform: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Origin,
    Lib,
    Platform,
}

/// Whether the text has a token at all.
#[must_use]
pub fn has_token(text: &[u8]) -> bool {
    tokens(text).next().is_some()
}

/// Whether the text asks for `$ORIGIN`.
#[must_use]
pub fn has_origin(text: &[u8]) -> bool {
    tokens(text).any(|(_, token, _)| token == Token::Origin)
}

/// In a set-id program `$ORIGIN` counts only at the start, with `/` or the end after it.
#[must_use]
pub fn origin_is_safe(text: &[u8]) -> bool {
    tokens(text)
        .filter(|(_, token, _)| *token == Token::Origin)
        .all(|(at, _, end)| at == 0 && text.get(end).is_none_or(|next| *next == b'/'))
}

/// Replaces the tokens. An unknown `$NAME` stays as it is; a known one without a value makes the
/// whole text worthless (`None`).
#[must_use]
pub fn expand(text: &[u8], values: Tokens<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for (at, token, end) in tokens(text) {
        out.extend_from_slice(text.get(done..at).unwrap_or_default());
        let value = match token {
            Token::Origin => values.origin,
            Token::Lib => values.lib,
            Token::Platform => values.platform,
        };
        out.extend_from_slice(value?);
        done = end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Some(out)
}

/// Each token with where it starts and ends.
fn tokens(text: &[u8]) -> impl Iterator<Item = (usize, Token, usize)> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text
            .get(from..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'$'))
        {
            let at = from + found;
            if let Some((token, length)) = token_at(text.get(at + 1..).unwrap_or_default()) {
                from = at + 1 + length;
                return Some((at, token, from));
            }
            from = at + 1;
        }
        None
    })
}

/// The token after a `$`, and its length with the braces.
fn token_at(rest: &[u8]) -> Option<(Token, usize)> {
    const NAMES: [(&[u8], Token); 3] = [
        (b"ORIGIN", Token::Origin),
        (b"LIB", Token::Lib),
        (b"PLATFORM", Token::Platform),
    ];
    for (name, token) in NAMES {
        if let Some(braced) = rest.strip_prefix(b"{") {
            let after = braced.strip_prefix(name);
            if after.is_some_and(|after| after.first() == Some(&b'}')) {
                return Some((token, name.len() + 2));
            }
        } else if let Some(after) = rest.strip_prefix(name) {
            let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            if !after.first().is_some_and(goes_on) {
                return Some((token, name.len()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Tokens<'_> = Tokens {
        origin: Some(b"/o"),
        lib: Some(b"lib64"),
        platform: None,
    };

    #[test]
    fn tokens_are_replaced_braced_or_not() {
        let table: [(&str, Option<&str>); 9] = [
            ("$ORIGIN/../lib", Some("/o/../lib")),
            ("${ORIGIN}x/$LIB", Some("/ox/lib64")),
            ("$ORIGINx", Some("$ORIGINx")),
            ("$ORIGIN.d", Some("/o.d")),
            ("$OTHER/$", Some("$OTHER/$")),
            ("${ORIGIN", Some("${ORIGIN")),
            ("$$ORIGIN", Some("$/o")),
            ("/x/$PLATFORM", None),
            ("", Some("")),
        ];
        for (text, wanted) in table {
            let got = expand(text.as_bytes(), VALUES);
            assert_eq!(got.as_deref(), wanted.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn a_set_id_program_takes_origin_only_at_the_start() {
        assert!(origin_is_safe(b"$ORIGIN/../lib"));
        assert!(origin_is_safe(b"${ORIGIN}"));
        assert!(!origin_is_safe(b"/tmp/$ORIGIN"));
        assert!(!origin_is_safe(b"$ORIGIN.d/lib"));
    }
}
