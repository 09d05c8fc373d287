//! What is wrong with a profile and where: file, line, column, the line itself underlined.

use std::fmt;
use std::ops::Range;

/// A profile that is not right. `Display` is several lines: where and what, then the line of
/// the file with the place underlined, then a suggestion where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The file, as it was named to the parser.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be absent.
    pub suggestion: Option<String>,
    shown: String,
    indent: usize,
    width: usize,
}

/// A fault before it is known which line it is in.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

impl Fault {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            suggestion: None,
        }
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

impl ParseError {
    pub(super) fn locate(fault: Fault, text: &str, file: &str) -> Self {
        /// What fits beside the line number on a terminal of 80 columns.
        const WINDOW: usize = 70;
        let start = boundary(text, fault.span.start);
        let end = boundary(text, fault.span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = text[line_start..start].chars().count();
        let within = text[start..end.min(line_end).max(start)].chars().count();
        // A long line is shown around the place only.
        let skipped = if before + within > WINDOW {
            before.saturating_sub(WINDOW / 2)
        } else {
            0
        };
        let shown: String = text[line_start..line_end]
            .chars()
            .skip(skipped)
            .take(WINDOW)
            .map(visible)
            .collect();
        Self {
            file: file.to_string(),
            line: text[..start].matches('\n').count() + 1,
            column: before + 1,
            message: fault.message,
            suggestion: fault.suggestion,
            shown: shown.trim_end().to_string(),
            indent: before - skipped,
            width: within.clamp(1, WINDOW - (before - skipped).min(WINDOW - 1)),
        }
    }

    /// `FILE:LINE:COLUMN`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// The lines below the first: the line of the file, the underline, the suggestion.
    #[must_use]
    pub fn excerpt(&self) -> Vec<String> {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut lines = vec![
            format!("{number} | {}", self.shown),
            format!(
                "{margin} | {}{}",
                " ".repeat(self.indent),
                "^".repeat(self.width)
            ),
        ];
        if let Some(suggestion) = &self.suggestion {
            lines.push(format!("{margin} = {suggestion}"));
        }
        lines
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        for line in self.excerpt() {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

fn boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One column for each character, so that the underline stands under its word whatever the
/// line holds: a tab, or what a terminal would obey.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => '?',
        '\u{feff}' | '\u{61c}' => '?',
        other if other.is_control() => '?',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_any_text() {
        let text = "a = 1\n\tb\x1b = \"ü\u{202e}\"\n";
        let place = |span: Range<usize>| {
            let error = ParseError::locate(Fault::new(span, "x"), text, "f");
            (error.line, error.column, error.excerpt())
        };
        let (line, column, excerpt) = place(7..9);
        assert_eq!((line, column), (2, 2));
        assert_eq!(excerpt, ["2 |  b? = \"ü?\"", "  |  ^^"]);
        // Beyond the end, and in the middle of a character.
        assert_eq!((place(999..1000).0, place(999..1000).1), (3, 1));
        assert_eq!(place(14..14).0, 2);
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = format!("key = [{}\"/x\"]", "\"/y\", ".repeat(200));
        let at = text.find("\"/x\"").unwrap();
        let error = ParseError::locate(Fault::new(at..at + 4, "x"), &text, "f");
        let excerpt = error.excerpt();
        assert!(excerpt[0].len() < 80, "{}", excerpt[0]);
        assert_eq!(
            excerpt[0].find("\"/x\""),
            excerpt[1].find('^'),
            "{excerpt:#?}"
        );
    }
}
