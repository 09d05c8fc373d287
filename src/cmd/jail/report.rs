//! The closing report of `build`, `add` and `update`: what is there, what was left out and why,
//! what to type next.

use std::collections::BTreeMap;

use super::content::Content;
use super::problem::Note;
use crate::elf::Needer;
use crate::exec::{How, Outcome};
use crate::model::{Bytes, EntryKind, HostPath, RootPath};
use crate::plan::jail::JailPlan;
use crate::sys::describe;
use crate::ui::{Ui, shell_quote};

/// How many lines of one kind are shown without `-v`.
const SHOWN: usize = 8;

/// What the copying said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    reflinked: usize,
    copied: usize,
    capabilities: Vec<RootPath>,
    attributes: Vec<RootPath>,
    nodes: Vec<RootPath>,
}

impl Counted {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut out = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Copied {
                    how: How::Reflinked,
                    ..
                } => out.reflinked += 1,
                Outcome::Copied { .. } => out.copied += 1,
                Outcome::CapabilitiesDropped(path) => out.capabilities.push(path.clone()),
                Outcome::AttributesLost(path) => out.attributes.push(path.clone()),
                Outcome::NodeRefused(path) => out.nodes.push(path.clone()),
            }
        }
        out
    }
}

/// A jail that was built.
#[derive(Debug)]
pub(super) struct Built {
    dir: HostPath,
    summary: String,
    left_out: Vec<String>,
    advice: Vec<String>,
    notes: Vec<String>,
    dead: Vec<String>,
}

impl Built {
    pub(super) fn new(
        dir: &HostPath,
        content: &Content,
        plan: &JailPlan,
        counted: &Counted,
        verbose: bool,
    ) -> Self {
        Self {
            dir: dir.clone(),
            summary: summary(dir, plan, counted),
            left_out: left_out(plan, counted),
            advice: advice(content),
            notes: notes(content, verbose),
            dead: dead(content),
        }
    }

    /// The same for a jail that is entered at once: what matters before the prompt appears.
    pub(super) fn show_in_memory(&self, ui: &Ui) {
        ui.note(&self.summary);
        if ui.verbose() {
            block(ui, "left out", &self.left_out);
            block(ui, "to know", &self.notes);
        } else {
            block(ui, "to know", &self.advice);
        }
        block(ui, "will not start on this machine", &self.dead);
    }

    /// Says it on stderr.
    pub(super) fn show(&self, ui: &Ui) {
        ui.note(&self.summary);
        block(ui, "left out", &self.left_out);
        block(ui, "to know", &self.notes);
        block(ui, "will not start on this machine", &self.dead);
        ui.note(&format!("next: newroot enter {}", shell_quote(&self.dir)));
    }
}

/// A heading with its lines, shortened without `-v`.
pub(super) fn block(ui: &Ui, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    ui.note(&format!("{heading}:"));
    let limit = if ui.verbose() { lines.len() } else { SHOWN };
    for line in lines.iter().take(limit) {
        ui.note(&format!("  {line}"));
    }
    if lines.len() > limit {
        ui.note(&format!("  and {} more (all with -v)", lines.len() - limit));
    }
}

fn summary(dir: &HostPath, plan: &JailPlan, counted: &Counted) -> String {
    let kinds = |kind: EntryKind| {
        plan.entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .count()
    };
    let hard = plan
        .entries
        .iter()
        .filter(|entry| entry.link_of.is_some())
        .count();
    let how = match (counted.reflinked, counted.copied) {
        (0, 0) => String::new(),
        (0, _) => String::from(" (copied)"),
        (_, 0) => String::from(" (reflinked)"),
        (shared, copied) => format!(" ({shared} reflinked, {copied} copied)"),
    };
    let files = plan
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.link_of.is_none());
    let bytes = files.map(|entry| entry.size).sum();
    let mut parts = vec![format!(
        "{} files, {}{how}",
        kinds(EntryKind::File),
        Bytes(bytes)
    )];
    if hard > 0 {
        parts.push(format!("{hard} hard links"));
    }
    parts.push(format!("{} links", kinds(EntryKind::Link)));
    parts.push(format!("{} directories", kinds(EntryKind::Directory)));
    format!("jail {dir}: {}", parts.join(", "))
}

fn left_out(plan: &JailPlan, counted: &Counted) -> Vec<String> {
    let mut out = Vec::new();
    for (path, bits) in &plan.dropped {
        let names = match (bits & 0o4000 != 0, bits & 0o2000 != 0) {
            (true, true) => "set-user-id and set-group-id",
            (true, false) => "set-user-id",
            _ => "set-group-id",
        };
        out.push(format!("{names} of {path} (--keep-privileges keeps it)"));
    }
    for path in &counted.capabilities {
        out.push(format!(
            "file capabilities of {path} (--keep-privileges keeps them)"
        ));
    }
    for path in &counted.attributes {
        out.push(format!(
            "extended attributes of {path}: not possible on this file system, or for you"
        ));
    }
    let made_none = !plan
        .entries
        .iter()
        .any(|entry| matches!(entry.kind, EntryKind::Char | EntryKind::Block));
    if made_none || !counted.nodes.is_empty() {
        out.push(String::from(
            "device nodes: only root may make them; newroot enter mounts a /dev with them",
        ));
    }
    // Those of every jail are in the /dev that it is entered with; another one is not.
    for path in counted.nodes.iter().filter(|path| !is_usual(path)) {
        out.push(format!(
            "{path}: that /dev does not have it; newroot enter --dev host has"
        ));
    }
    out
}

fn is_usual(node: &RootPath) -> bool {
    ["null", "zero", "full", "random", "urandom", "tty", "ptmx"]
        .iter()
        .any(|name| *node == RootPath::new("/dev").join(name))
}

fn dead(content: &Content) -> Vec<String> {
    let of = |note: &Note| match note {
        Note::WillNotStart { program, why } => Some(format!("{program}: {why}")),
        _ => None,
    };
    content.notes.iter().filter_map(of).collect()
}

/// What a program is likely to miss.
fn advice(content: &Content) -> Vec<String> {
    content
        .helpful
        .iter()
        .map(|name| {
            format!(
                "{name} loads more when it runs than its ELF file says; --profile {name} brings it"
            )
        })
        .collect()
}

fn notes(content: &Content, verbose: bool) -> Vec<String> {
    let mut out = advice(content);
    if let Some(program) = content.needs_proc.first() {
        let others = content.needs_proc.len() - 1;
        let and = if others == 0 {
            String::new()
        } else {
            format!(" and {others} more")
        };
        out.push(format!(
            "{program}{and} finds its libraries by $ORIGIN: it starts only where /proc is mounted \
             (newroot enter does; a plain chroot does not)"
        ));
    }
    for note in &content.notes {
        out.push(match note {
            Note::LeftOut { path, errno } if *errno == rustix::io::Errno::OPNOTSUPP => {
                format!("{path}: a socket or named pipe is not copied")
            }
            Note::LeftOut { path, errno } => format!("{path}: left out: {}", describe(*errno)),
            Note::Incomplete(problem) => problem.line(),
            Note::Absent { .. } => continue,
            Note::NoUsers { by, names } => {
                format!("{by}: there is no user {names} in the source's /etc/passwd")
            }
            // Said last, where it is seen.
            Note::WillNotStart { .. } => continue,
            Note::NotInPath { program, path } => {
                format!("{program} is found by its whole path only: the profile's PATH is {path}")
            }
            Note::NotPreloaded { name } => format!(
                "{name} is to be preloaded (LD_PRELOAD or /etc/ld.so.preload) and is not found: \
                 every program says so when it starts, and runs without it"
            ),
            Note::Dlopen { program, note } => {
                if note.sonames.iter().any(|name| holds(content, name)) {
                    continue;
                }
                let of = match note.of {
                    Needer::Program | Needer::Preload => program.to_string(),
                    Needer::Object(_) => format!("a library of {program}"),
                };
                let what = note
                    .description
                    .as_ref()
                    .or(note.feature.as_ref())
                    .map_or_else(String::new, |text| format!(" ({text})"));
                format!(
                    "{of} may load {} later{what}, {}; it is not in the jail",
                    note.sonames.join(" or "),
                    note.priority
                )
            }
        });
    }
    out.sort();
    out.dedup();
    out.extend(absent(content, verbose));
    out
}

/// What profiles name for other distributions is only counted, unless it was asked about.
fn absent(content: &Content, verbose: bool) -> Vec<String> {
    let mut by_whom: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for note in &content.notes {
        if let Note::Absent { what, by } = note {
            by_whom.entry(by).or_default().push(what);
        }
    }
    by_whom
        .into_iter()
        .map(|(by, what)| {
            if verbose {
                format!("{by}, optional and not there: {}", what.join(", "))
            } else {
                format!(
                    "{by}: {} optional things are not there (which: -v)",
                    what.len()
                )
            }
        })
        .collect()
}

fn holds(content: &Content, soname: &str) -> bool {
    content
        .facts
        .found
        .keys()
        .any(|path| path.file_name().is_some_and(|name| name == soname))
}
