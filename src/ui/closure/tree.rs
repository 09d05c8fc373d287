//! `--format tree`: who needs whom, for people.
//!
//! The walk has its own stack: a chain of ten thousand libraries is a hostile file system's joke
//! and must not be a stack overflow.

use std::collections::{HashMap, HashSet};

use super::{Answer, elf_program, escape_bytes, name_of, text_of};
use crate::elf::{Closure, Missing, Needer, ProgramKind, ScriptStep};
use crate::ui::Ui;

/// The trees of all answers, one below the other.
#[must_use]
pub fn tree(answers: &[Answer], ui: &Ui) -> Vec<u8> {
    let mut out = String::new();
    for answer in answers {
        // What failed was said on stderr.
        if let Answer::Found(closure) = answer {
            Painter::new(closure, ui, &mut out).program();
        }
    }
    out.into_bytes()
}

/// How lines are joined and coloured.
struct Style {
    color: bool,
    branch: &'static str,
    last: &'static str,
    pipe: &'static str,
}

impl Style {
    fn of(ui: &Ui) -> Self {
        let (branch, last, pipe) = if ui.plain() {
            ("|- ", "`- ", "|  ")
        } else {
            ("├─ ", "└─ ", "│  ")
        };
        Self {
            color: ui.color_out(),
            branch,
            last,
            pipe,
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";

struct Painter<'a> {
    closure: &'a Closure,
    style: Style,
    children: HashMap<Needer, Vec<Child<'a>>>,
    out: &'a mut String,
}

#[derive(Clone, Copy)]
enum Child<'a> {
    Object(usize),
    Loader,
    Missing(&'a Missing),
}

impl<'a> Painter<'a> {
    fn new(closure: &'a Closure, ui: &Ui, out: &'a mut String) -> Self {
        let mut children: HashMap<Needer, Vec<Child<'a>>> = HashMap::new();
        let mut add = |needer: Needer, child| children.entry(needer).or_default().push(child);
        for (index, object) in closure.objects.iter().enumerate() {
            for needer in &object.needed_by {
                add(*needer, Child::Object(index));
            }
        }
        for needer in closure.interpreter.iter().flat_map(|it| &it.needed_by) {
            add(*needer, Child::Loader);
        }
        for missing in &closure.missing {
            add(missing.needed_by, Child::Missing(missing));
        }
        Self {
            closure,
            style: Style::of(ui),
            children,
            out,
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn program(mut self) {
        let closure = self.closure;
        let name = self.style.paint(BOLD, &text_of(&closure.program));
        let what = match closure.kind {
            ProgramKind::Static => "  (static: needs nothing)",
            ProgramKind::Data => "  (no program: neither ELF nor #!)",
            ProgramKind::Script => "  (script)",
            ProgramKind::Library => "  (library)",
            ProgramKind::Dynamic => "",
        };
        self.line(&format!("{name}{what}"));
        let mut indent = String::new();
        for step in &closure.script {
            self.step(step, &indent);
            indent.push_str("   ");
        }
        self.interpreter(&indent);
        self.objects(&indent);
        self.cut_off(&indent);
        self.not_preloaded(&indent);
        self.versions(&indent);
        self.notes(&indent);
    }

    fn step(&mut self, step: &ScriptStep, indent: &str) {
        let how = if step.through_env { "env" } else { "#!" };
        let mut line = format!("{indent}{}{}", self.style.last, text_of(&step.program));
        match (&step.missing, &step.refused) {
            (Some(_), _) => line.push_str(&self.style.paint(RED, "  not found")),
            (None, Some(reason)) => line.push_str(&self.style.paint(RED, &format!("  {reason}"))),
            (None, None) => line.push_str(&self.style.paint(DIM, &format!("  [{how}]"))),
        }
        self.line(&line);
    }

    fn interpreter(&mut self, indent: &str) {
        let Some(interpreter) = &self.closure.interpreter else {
            return;
        };
        // A loader that is missing is listed with what is missing.
        if interpreter.present {
            let joint = if self.children.is_empty() {
                self.style.last
            } else {
                self.style.branch
            };
            let label = self.style.paint(DIM, "  [interpreter]");
            let line = format!("{indent}{joint}{}{label}", text_of(&interpreter.path));
            self.line(&line);
        }
    }

    /// Depth first; what was shown with its own children once is folded afterwards.
    fn objects(&mut self, indent: &str) {
        let mut shown: HashSet<usize> = HashSet::new();
        let mut stack: Vec<(Child<'a>, String, bool)> = Vec::new();
        let roots = [Needer::Preload, Needer::Program];
        let top: Vec<Child<'a>> = roots
            .iter()
            .filter_map(|root| self.children.get(root))
            .flatten()
            .copied()
            .collect();
        push(&mut stack, &top, indent);
        while let Some((child, prefix, last)) = stack.pop() {
            let joint = if last {
                self.style.last
            } else {
                self.style.branch
            };
            let below = format!("{prefix}{}", if last { "   " } else { self.style.pipe });
            let line = format!("{prefix}{joint}");
            match child {
                Child::Object(index) => {
                    let children = self.children.get(&Needer::Object(index)).cloned();
                    let children = children.unwrap_or_default();
                    let repeated = !shown.insert(index) && !children.is_empty();
                    let text = self.object(index, repeated);
                    self.line(&format!("{line}{text}"));
                    if !repeated {
                        push(&mut stack, &children, &below);
                    }
                }
                Child::Loader => {
                    let path = self
                        .closure
                        .interpreter
                        .as_ref()
                        .map(|it| text_of(&it.path));
                    let label = self.style.paint(DIM, "  [the interpreter]");
                    self.line(&format!("{line}{}{label}", path.unwrap_or_default()));
                }
                Child::Missing(missing) => self.missing(missing, &line, &below),
            }
        }
    }

    fn object(&self, index: usize, repeated: bool) -> String {
        let Some(object) = self.closure.objects.get(index) else {
            return String::new();
        };
        let name = escape_bytes(&object.name);
        let path = text_of(&object.path);
        let mut text = if name == path {
            self.style.paint(GREEN, &path)
        } else {
            format!("{} => {path}", self.style.paint(GREEN, &name))
        };
        let label = if repeated {
            "  (above)".to_string()
        } else {
            format!("  [{}]", object.found_by.word())
        };
        text.push_str(&self.style.paint(DIM, &label));
        text
    }

    fn missing(&mut self, missing: &Missing, line: &str, below: &str) {
        let name = escape_bytes(&missing.name);
        let what = match &missing.refused {
            Some((path, reason)) => format!("{name} => {}: {reason}", text_of(path)),
            None => format!("{name} => not found"),
        };
        let what = self.style.paint(RED, &what);
        self.line(&format!("{line}{what}"));
        if missing.refused.is_none() {
            for place in &missing.searched {
                let place = escape_bytes(place.as_bytes());
                let place = self.style.paint(DIM, &format!("searched {place}"));
                self.line(&format!("{below}{place}"));
            }
        }
    }

    fn cut_off(&mut self, indent: &str) {
        for cut in &self.closure.cut_off {
            let text = format!("{}: {cut}", text_of(&cut.path));
            let text = self.style.paint(RED, &text);
            self.line(&format!("{indent}   {text}"));
        }
    }

    fn not_preloaded(&mut self, indent: &str) {
        for name in &self.closure.not_preloaded {
            let name = escape_bytes(name);
            let text = format!("{name} is to be preloaded and not found: it starts without");
            let text = self.style.paint(RED, &text);
            self.line(&format!("{indent}   {text}"));
        }
    }

    fn versions(&mut self, indent: &str) {
        for problem in &self.closure.versions {
            let text = format!(
                "version {} of {} not found, needed by {}",
                escape_bytes(&problem.version),
                escape_bytes(&problem.object),
                name_of(self.closure, problem.needed_by)
            );
            let text = self.style.paint(RED, &text);
            self.line(&format!("{indent}   {text}"));
        }
    }

    fn notes(&mut self, indent: &str) {
        for note in &self.closure.notes {
            let sonames: Vec<String> = note
                .sonames
                .iter()
                .map(|name| escape_bytes(name.as_bytes()))
                .collect();
            let of = match note.of {
                Needer::Program => text_of(elf_program(self.closure)),
                other => name_of(self.closure, other),
            };
            let feature = note.feature.as_deref().unwrap_or("");
            let text = format!(
                "may load {} ({}) {} for {of}",
                sonames.join(" or "),
                escape_bytes(note.priority.as_bytes()),
                escape_bytes(feature.as_bytes()),
            );
            self.line(&format!("{indent}   {text}"));
        }
    }
}

fn push<'a>(stack: &mut Vec<(Child<'a>, String, bool)>, children: &[Child<'a>], prefix: &str) {
    let count = children.len();
    for (index, child) in children.iter().enumerate().rev() {
        stack.push((*child, prefix.to_string(), index + 1 == count));
    }
}
