//! What a verb needs, asked in plain prompts: the words of its command line.

use std::ffi::OsString;

use crate::cmd::{alone, target};
use crate::probe::scan::{self, Found, Options};
use crate::ui::menu::{Entry, Menu, Picked};
use crate::ui::scan::place;
use crate::ui::{Line, Ui};

/// The words after `newroot`; `None` when the person went back.
pub(super) fn words(verb: &str, ui: &Ui) -> anyhow::Result<Option<Vec<OsString>>> {
    let first = OsString::from(verb);
    let rest = match verb {
        "rescue" | "doctor" => one_target(ui)?.map(|target| vec![target]),
        "mount" => mount(ui)?,
        "umount" => one(ui, "Directory where it is mounted [/mnt]: ", Some("/mnt"))?,
        "enter" => one(ui, "Directory that serves as /: ", None)?,
        "jail" => jail(ui)?,
        "run" => run(ui)?,
        "libtest" => libtest(ui)?,
        _ => Some(Vec::new()),
    };
    Ok(rest.map(|rest| std::iter::once(first).chain(rest).collect()))
}

/// A line, or the default for an empty one. `None`: back.
fn line(ui: &Ui, prompt: &str, default: Option<&str>) -> anyhow::Result<Option<String>> {
    Ok(match ui.line(prompt, None)? {
        Line::Text(text) if text.is_empty() => default.map(str::to_owned),
        Line::Text(text) if text == "q" => None,
        Line::Text(text) => Some(text),
        Line::End | Line::Interrupted => None,
    })
}

fn one(ui: &Ui, prompt: &str, default: Option<&str>) -> anyhow::Result<Option<Vec<OsString>>> {
    Ok(line(ui, prompt, default)?.map(|text| vec![text.into()]))
}

fn mount(ui: &Ui) -> anyhow::Result<Option<Vec<OsString>>> {
    let Some(target) = one_target(ui)? else {
        return Ok(None);
    };
    let directory = line(ui, "Directory to mount it at [/mnt]: ", Some("/mnt"))?;
    Ok(directory.map(|directory| vec![target, directory.into()]))
}

/// Programs first: they are what somebody knows when he comes here.
fn jail(ui: &Ui) -> anyhow::Result<Option<Vec<OsString>>> {
    ui.note("Programs by name or path, with blanks between. --profile NAME adds a whole list");
    ui.note("of them: shell, coreutils, rescue-tools ... (newroot profile list shows all).");
    let Some(programs) = line(ui, "Programs: ", None)? else {
        return Ok(None);
    };
    let place = match ui.line(
        "Directory for the jail [none: only try it, in memory]: ",
        None,
    )? {
        Line::Text(text) if text == "q" => return Ok(None),
        Line::Text(text) => text,
        Line::End | Line::Interrupted => return Ok(None),
    };
    Ok(Some(jail_words(&programs, &place)))
}

fn jail_words(programs: &str, place: &str) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut names = Vec::new();
    let mut words = split(programs).into_iter();
    while let Some(word) = words.next() {
        if word == "--profile" {
            options.push(word);
            options.extend(words.next());
        } else if word.as_encoded_bytes().starts_with(b"--profile=") {
            options.push(word);
        } else {
            names.push(word);
        }
    }
    let verb = if place.is_empty() { "try" } else { "build" };
    let directory = (!place.is_empty()).then(|| OsString::from(place));
    std::iter::once(OsString::from(verb))
        .chain(options)
        .chain(directory)
        .chain(names)
        .collect()
}

fn run(ui: &Ui) -> anyhow::Result<Option<Vec<OsString>>> {
    let Some(root) = line(ui, "Directory that serves as /: ", None)? else {
        return Ok(None);
    };
    let command = line(ui, "Command in it [its own]: ", Some(""))?;
    Ok(command.map(|command| {
        let words = split(&command).into_iter();
        std::iter::once(root.into()).chain(words).collect()
    }))
}

fn libtest(ui: &Ui) -> anyhow::Result<Option<Vec<OsString>>> {
    let Some(library) = line(ui, "The other library, or the directory of several: ", None)? else {
        return Ok(None);
    };
    let command = line(ui, "Program to try with it, and its arguments: ", None)?;
    Ok(command.map(|command| {
        let options = ["--lib".into(), library.into(), "--".into()];
        options.into_iter().chain(split(&command)).collect()
    }))
}

/// Blanks between words; one pair of quotes keeps them in a word.
fn split(text: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from).collect()
}

/// A system of this machine, from a list.
fn one_target(ui: &Ui) -> anyhow::Result<Option<OsString>> {
    ui.note("Looking for installed systems (nothing is written) ...");
    let looking = alone::wait(ui);
    let scan = scan::scan(&Options::default()).map_err(|error| target::scan_failure(&error))?;
    let found = scan.finish().map_err(|left| target::left_open(&left))?;
    drop(looking);
    let entries = entries(&found);
    if entries.is_empty() {
        ui.note("No installed system was found. What was left out, and why: newroot scan");
        let prompt = "A device, image file or directory instead [back]: ";
        return Ok(line(ui, prompt, None)?.map(OsString::from));
    }
    let menu = Menu {
        head: vec![String::from("Which system?")],
        entries,
        foot: vec![String::from(
            "Not in the list? What was left out, and why: newroot scan",
        )],
    };
    Ok(match ui.choose(&menu, None)? {
        Picked::Entry(index) => menu.entries.get(index).map(|it| it.word.clone().into()),
        Picked::Leave | Picked::Interrupted => None,
    })
}

fn entries(found: &Found) -> Vec<Entry> {
    let systems = found.systems.iter().map(|system| {
        let host = system.facts.hostname.as_deref().unwrap_or("?");
        let on = place(&found.inventory, system);
        let text = format!("{}, {host}, on {on}", system.facts.os.short());
        Entry::new(system.id.clone(), text, "")
    });
    let locked = found.locked.iter().map(|locked| {
        let name = &found.inventory.volumes[locked.volume].name;
        Entry::new(
            locked.id.clone(),
            format!("locked, {}, on {name}", locked.what),
            "",
        )
    });
    systems.chain(locked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_blanks_outside_quotes() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  bash  ls ", &["bash", "ls"]),
            ("sh -c 'a  b'", &["sh", "-c", "a  b"]),
            ("a\"b c\"d ''", &["ab cd", ""]),
            ("'open", &["open"]),
        ];
        for (text, expected) in table {
            assert_eq!(split(text), *expected, "{text}");
        }
    }

    #[test]
    fn a_jail_is_built_where_a_directory_is_named() {
        let table: &[(&str, &str, &[&str])] = &[
            ("bash ls", "", &["try", "bash", "ls"]),
            ("bash", "/srv/x y", &["build", "/srv/x y", "bash"]),
            (
                "ls --profile shell bash",
                "/j",
                &["build", "--profile", "shell", "/j", "ls", "bash"],
            ),
        ];
        for (programs, place, expected) in table {
            assert_eq!(jail_words(programs, place), *expected, "{programs}");
        }
    }
}
