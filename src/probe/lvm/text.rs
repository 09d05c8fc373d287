//! LVM2's text format: sections in braces, keys with a number, a string or a list.

use std::collections::BTreeMap;

/// Sections inside of sections: group, volumes, volume, segment.
const DEEPEST: usize = 8;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Section(Section),
}

/// What stands between braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section(BTreeMap<String, Value>);

impl Section {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn section(&self, key: &str) -> Option<&Section> {
        match self.get(key) {
            Some(Value::Section(section)) => Some(section),
            _ => None,
        }
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(key, value)| match value {
            Value::Section(section) => Some((key.as_str(), section)),
            _ => None,
        })
    }
}

/// Reads a whole file; `None` where it breaks the format.
pub(super) fn parse(bytes: &[u8]) -> Option<Section> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader {
        rest: text.trim_end_matches('\0'),
    };
    reader.section(0)
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Up to the closing brace, or at depth 0 to the end.
    fn section(&mut self, depth: usize) -> Option<Section> {
        if depth > DEEPEST {
            return None;
        }
        let mut section = Section::default();
        loop {
            self.skip();
            if self.rest.is_empty() {
                return (depth == 0).then_some(section);
            }
            if self.take('}') {
                return (depth > 0).then_some(section);
            }
            let key = self.word()?.to_string();
            self.skip();
            let value = if self.take('{') {
                Value::Section(self.section(depth + 1)?)
            } else if self.take('=') {
                self.value()?
            } else {
                return None;
            };
            section.0.insert(key, value);
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.skip();
        if !self.take('[') {
            return self.simple();
        }
        let mut list = Vec::new();
        loop {
            self.skip();
            if self.take(']') {
                return Some(Value::List(list));
            }
            if !self.take(',') {
                list.push(self.simple()?);
            }
        }
    }

    fn simple(&mut self) -> Option<Value> {
        if !self.take('"') {
            let word = self.word()?;
            // Negative and fractional numbers occur, where nobody here asks for them.
            return Some(
                word.parse()
                    .map_or_else(|_| Value::Text(word.to_string()), Value::Number),
            );
        }
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(Value::Text(text));
                }
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                _ => text.push(letter),
            }
        }
        None
    }

    fn word(&mut self) -> Option<&'t str> {
        let ends = |letter: char| letter.is_whitespace() || "{}[]=,#\"".contains(letter);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Blanks and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    fn take(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let file =
            parse(b"a = 7 # x\nb = \"q\\\"}\"\nc = [\"x\", 3,\n]\nd { e = -1 }\0\0").unwrap();
        assert_eq!(file.number("a"), Some(7));
        assert_eq!(file.text("b"), Some("q\"}"));
        let list = vec![Value::Text("x".into()), Value::Number(3)];
        assert_eq!(file.get("c"), Some(&Value::List(list)));
        assert_eq!(file.section("d").unwrap().text("e"), Some("-1"));
    }

    #[test]
    fn what_breaks_the_format_is_nothing() {
        let deep = "a {".repeat(100_000);
        for text in ["a", "a {", "}", "a = [", "a = \"x", "a = }", deep.as_str()] {
            assert_eq!(
                parse(text.as_bytes()),
                None,
                "{}",
                &text[..text.len().min(9)]
            );
        }
    }
}
