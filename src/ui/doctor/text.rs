//! The report as text: one block a finding, wrapped to the screen.

use std::fmt::Write as _;

use super::Shown;
use crate::cli;
use crate::doctor::fixes::Where;
use crate::doctor::{Finding, Fix, Severity};
use crate::probe::system::Place;
use crate::ui::scan::place;
use crate::ui::{escape, shell_quote};

const WIDTH: usize = 80;
/// `  seen:   ` and what stands below it.
const INDENT: usize = 10;
/// So many causes are named in the closing line.
const MOST_UNCHECKED: usize = 6;

/// The whole report.
#[must_use]
pub fn text(shown: &Shown<'_>) -> String {
    let mut out = head(shown);
    let report = shown.report;
    let visible = |it: &&Finding| shown.verbose || it.severity != Severity::Note;
    let mut uses_inside = false;
    for (index, finding) in report.findings.iter().filter(visible).enumerate() {
        out.push('\n');
        block(shown, index + 1, finding, &mut out);
        uses_inside |= !repairs()
            && finding
                .fix
                .commands
                .iter()
                .any(|it| it.place == Where::Inside);
    }
    if uses_inside {
        out.push('\n');
        out.push_str(&how_to_get_in(shown));
    }
    out.push('\n');
    out.push_str(&closing(shown));
    out
}

/// Whether `newroot repair` exists: a fix names only what can be typed.
fn repairs() -> bool {
    cli::knows("repair")
}

fn name(shown: &Shown<'_>) -> String {
    let system = shown.system;
    match &system.place {
        Place::Directory(path) => path.to_string(),
        Place::Volume { .. } => system
            .facts
            .hostname
            .clone()
            .unwrap_or_else(|| system.id.clone()),
    }
}

/// What to type for this system.
fn target(shown: &Shown<'_>) -> String {
    match shown.target {
        Some(typed) => shell_quote(typed),
        None => shown.system.id.clone(),
    }
}

fn head(shown: &Shown<'_>) -> String {
    let system = shown.system;
    let mut out = format!(
        "{}: {}",
        escape(&name(shown)),
        escape(&system.facts.os.short())
    );
    if let Some(arch) = system.facts.arch {
        write!(out, " {arch}").ok();
    }
    if matches!(system.place, Place::Volume { .. }) {
        write!(out, " on {}", escape(&place(shown.inventory, system))).ok();
    }
    let programs = if shown.quick {
        "no programs".to_string()
    } else {
        format!("{} programs", shown.report.programs)
    };
    writeln!(out, ". Looked only; {programs}, {:.1} s.", shown.seconds).ok();
    out
}

fn block(shown: &Shown<'_>, number: usize, finding: &Finding, out: &mut String) {
    let word = match finding.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARN",
        Severity::Note => "NOTE",
    };
    wrap(out, &format!("{word} {number}: "), 4, &finding.what);
    if !finding.seen.is_empty() {
        wrap(out, "  seen:   ", INDENT, &finding.seen.join("; "));
    }
    if let Some(screen) = &finding.screen {
        wrap(out, "  screen: ", INDENT, &format!("\"{screen}\""));
    }
    fix(shown, &finding.fix, out);
}

fn fix(shown: &Shown<'_>, fix: &Fix, out: &mut String) {
    let mut label = "  fix:    ";
    let mut line = |text: &str, out: &mut String| {
        // A command is never broken: it would not be the same when it is copied.
        out.push_str(label);
        out.push_str(&escape(text).replace('\n', "\\n"));
        out.push('\n');
        label = "          ";
    };
    if let Some(task) = fix.task.filter(|_| repairs()) {
        line(
            &format!("newroot repair {} {}", task.word(), target(shown)),
            out,
        );
        return;
    }
    if let Some(advice) = &fix.advice {
        line(advice, out);
    }
    for command in &fix.commands {
        let text = match command.place {
            Where::Inside => format!("# {}", command.line),
            Where::Outside => outside(shown, &command.line),
        };
        line(&text, out);
    }
}

/// Puts in what is known of `$ROOT` and `$DEVICE`.
fn outside(shown: &Shown<'_>, line: &str) -> String {
    let mut text = line.to_string();
    if let Place::Directory(path) = &shown.system.place {
        let root = path.to_string();
        let root = root.trim_end_matches('/');
        let plain = root
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        if plain {
            text = text.replace("\"$ROOT\"", if root.is_empty() { "/" } else { root });
            while let Some(at) = text.find("\"$ROOT/") {
                let Some(end) = text[at + 1..].find('"') else {
                    break;
                };
                let inner = text[at + 1..at + 1 + end].replace("$ROOT", root);
                text.replace_range(at..=at + 1 + end, &inner);
            }
        }
    }
    let device = shown
        .system
        .volume()
        .and_then(|index| shown.inventory.volumes.get(index));
    if let Some(volume) = device {
        text = text.replace("$DEVICE", &volume.path.display().to_string());
    }
    text
}

fn how_to_get_in(shown: &Shown<'_>) -> String {
    let root = match &shown.system.place {
        Place::Directory(path) => shell_quote(path.as_path()),
        Place::Volume { .. } => "/mnt".to_string(),
    };
    let mut out = String::new();
    if root == "/" {
        out.push_str("Lines with # are typed here, as root.\n");
        return out;
    }
    if let Some(volume) = shown
        .system
        .volume()
        .and_then(|index| shown.inventory.volumes.get(index))
    {
        let device = volume.path.display().to_string();
        writeln!(
            out,
            "Lines with # are typed inside: mount {} /mnt, then newroot enter /mnt",
            escape(&device)
        )
        .ok();
    } else {
        writeln!(out, "Lines with # are typed inside: newroot enter {root}").ok();
    }
    out
}

fn closing(shown: &Shown<'_>) -> String {
    let report = shown.report;
    let count = |severity, one: &str| {
        let number = report.count(severity);
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {one}{plural}")
    };
    let notes = report.count(Severity::Note);
    let mut text = format!(
        "{}, {}, {}",
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
        count(Severity::Note, "note")
    );
    if notes > 0 && !shown.verbose {
        text.push_str(" (-v)");
    }
    text.push('.');
    if !report.unchecked.is_empty() {
        let shown_few = report
            .unchecked
            .iter()
            .take(MOST_UNCHECKED)
            .map(|(what, why)| {
                if why.is_empty() {
                    what.clone()
                } else {
                    format!("{what} ({why})")
                }
            });
        let mut names = shown_few.collect::<Vec<_>>().join("; ");
        let more = report.unchecked.len().saturating_sub(MOST_UNCHECKED);
        if more > 0 {
            write!(names, "; and {more} more").ok();
        }
        write!(text, " Not checked: {names}.").ok();
    }
    let code = u8::from(report.count(Severity::Error) > 0);
    write!(text, " [exit {code}]").ok();
    let mut out = String::new();
    wrap(&mut out, "", 0, &text);
    out
}

/// Fills lines of [`WIDTH`]; a word that is longer stands on a line of its own.
fn wrap(out: &mut String, label: &str, indent: usize, text: &str) {
    let text = escape(text).replace('\n', "\\n");
    let mut line = label.to_string();
    let mut fresh = true;
    for word in text.split(' ') {
        let width = line.chars().count() + usize::from(!fresh) + word.chars().count();
        if !fresh && width > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_never_wider() {
        let mut out = String::new();
        wrap(&mut out, "  seen:   ", INDENT, &"word ".repeat(40));
        assert!(out.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(
            out.lines()
                .skip(1)
                .all(|line| line.starts_with("          word"))
        );
        assert_eq!(out.split_whitespace().count(), 41);
    }

    #[test]
    fn names_from_disk_cannot_forge_a_line() {
        let mut out = String::new();
        wrap(&mut out, "", 0, "a\nERROR 9: b\x1b[31m");
        assert_eq!(out, "a\\nERROR 9: b\\x1b[31m\n");
    }
}
