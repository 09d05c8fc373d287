//! A menu: a printed list of numbers and words, and one line of input (screens.md).
//!
//! The caller says what there is to choose and does what was chosen; nothing is decided here.

use std::io;
use std::os::fd::BorrowedFd;

use super::{Line, Ui};

/// The least room for the words, so that menus look alike.
const WORD: usize = 10;

/// One thing to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What can be typed instead of the number.
    pub word: String,
    /// What it does, in a few words.
    pub text: String,
    /// The command line that does the same; shown when it is chosen. May be empty.
    pub command: String,
}

impl Entry {
    /// An entry that says which command line does the same.
    pub fn new(
        word: impl Into<String>,
        text: impl Into<String>,
        command: impl Into<String>,
    ) -> Self {
        Self {
            word: word.into(),
            text: text.into(),
            command: command.into(),
        }
    }
}

/// A whole screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Menu {
    /// Lines above the list: what is, and what was not touched.
    pub head: Vec<String>,
    /// The list.
    pub entries: Vec<Entry>,
    /// Lines below it.
    pub foot: Vec<String>,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This entry.
    Entry(usize),
    /// `q`, an empty line, or Ctrl-D.
    Leave,
    /// A signal came (see [`Ui::line`]).
    Interrupted,
}

impl Menu {
    /// The screen, a line each, without the prompt.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let longest = self.entries.iter().map(|entry| entry.word.chars().count());
        let width = longest.max().unwrap_or(0).max(WORD);
        let list =
            self.entries.iter().zip(1..).map(|(entry, number)| {
                format!("{number:>3}  {:<width$}  {}", entry.word, entry.text)
            });
        let mut lines = self.head.clone();
        lines.push(String::new());
        lines.extend(list);
        lines.push(String::new());
        lines.extend(self.foot.iter().cloned());
        lines
    }

    /// The entry that `typed` means: its number, its word, or the beginning of one word only.
    #[must_use]
    pub fn find(&self, typed: &str) -> Option<usize> {
        if let Ok(number) = typed.parse::<usize>() {
            return number
                .checked_sub(1)
                .filter(|index| *index < self.entries.len());
        }
        let typed = typed.to_lowercase();
        let exact = self.entries.iter().position(|entry| entry.word == typed);
        exact.or_else(|| {
            let mut begins =
                (0..self.entries.len()).filter(|at| self.entries[*at].word.starts_with(&typed));
            let first = begins.next()?;
            begins.next().is_none().then_some(first)
        })
    }
}

impl Ui {
    /// Shows `menu` and asks until something of it was chosen. Only for a terminal: see
    /// [`Ui::can_ask`].
    ///
    /// # Errors
    /// As [`Ui::line`].
    pub fn choose(&self, menu: &Menu, mind: Option<BorrowedFd<'_>>) -> io::Result<Picked> {
        for line in menu.lines() {
            self.err_line(&line);
        }
        loop {
            let typed = match self.line("Choice: ", mind)? {
                Line::Text(text) => text,
                Line::End => return Ok(Picked::Leave),
                Line::Interrupted => return Ok(Picked::Interrupted),
            };
            if ["", "q", "quit", "exit"].contains(&typed.as_str()) {
                return Ok(Picked::Leave);
            }
            if let Some(index) = menu.find(&typed) {
                let command = &menu.entries[index].command;
                if !command.is_empty() {
                    self.err_line(&format!("Without this menu: {command}"));
                }
                return Ok(Picked::Entry(index));
            }
            self.err_line(&format!(
                "There is no choice \"{typed}\". Type a number from 1 to {}, or a word; q leaves.",
                menu.entries.len()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Menu {
        Menu {
            head: vec![String::from("web03, open READ-ONLY.")],
            entries: vec![
                Entry::new("shell", "root shell inside", "newroot rescue web03 -- bash"),
                Entry::new("report", "what is known", ""),
                Entry::new("reboot", "finish, then reboot", ""),
            ],
            foot: vec![String::from("foot")],
        }
    }

    #[test]
    fn the_screen_is_a_numbered_list() {
        assert_eq!(
            menu().lines(),
            [
                "web03, open READ-ONLY.",
                "",
                "  1  shell       root shell inside",
                "  2  report      what is known",
                "  3  reboot      finish, then reboot",
                "",
                "foot"
            ]
        );
    }

    #[test]
    fn a_number_a_word_or_the_beginning_of_one_word() {
        for (typed, expected) in [
            ("1", Some(0)),
            ("03", Some(2)),
            ("0", None),
            ("4", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("shell", Some(0)),
            ("SHELL", Some(0)),
            ("s", Some(0)),
            ("re", None),
            ("rep", Some(1)),
            ("shellx", None),
        ] {
            assert_eq!(menu().find(typed), expected, "{typed}");
        }
    }
}
