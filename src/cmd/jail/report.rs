//! The closing report of `build`, `add` and `update`: what is there, what was left out and why,
//! what to type next.

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
pub(super) struct Counted {
    reflinked: usize,
    copied: usize,
    bytes: u64,
    capabilities: Vec<RootPath>,
    attributes: Vec<RootPath>,
    nodes: Vec<RootPath>,
}

impl Counted {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut out = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Copied { how, bytes, .. } => {
                    out.bytes += bytes;
                    match how {
                        How::Reflinked => out.reflinked += 1,
                        How::Copied => out.copied += 1,
                    }
                }
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
    notes: Vec<String>,
}

impl Built {
    pub(super) fn new(
        dir: &HostPath,
        content: &Content,
        plan: &JailPlan,
        counted: Counted,
    ) -> Self {
        Self {
            dir: dir.clone(),
            summary: summary(dir, plan, &counted),
            left_out: left_out(plan, &counted),
            notes: notes(content),
        }
    }

    /// Says it on stderr.
    pub(super) fn show(&self, ui: &Ui) {
        ui.note(&self.summary);
        block(ui, "left out", &self.left_out);
        block(ui, "to know", &self.notes);
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
        (0, _) => String::from("copied"),
        (_, 0) => String::from("reflinked"),
        (shared, copied) => format!("{shared} reflinked, {copied} copied"),
    };
    let mut parts = vec![format!(
        "{} files, {} ({how})",
        kinds(EntryKind::File),
        Bytes(counted.bytes)
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
    out
}

fn notes(content: &Content) -> Vec<String> {
    let mut out = Vec::new();
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
            Note::Absent { what, by } => format!("{by}: optional {what} is not there"),
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
    out
}

fn holds(content: &Content, soname: &str) -> bool {
    content
        .facts
        .found
        .keys()
        .any(|path| path.file_name().is_some_and(|name| name == soname))
}
