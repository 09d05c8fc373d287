//! `--why SONAME`: the chains that bring an object in.

use std::collections::HashSet;

use super::{Answer, elf_program, escape_bytes, name_of};
use crate::elf::{Closure, Needer};
use crate::model::RootPath;
use crate::ui::Ui;

/// One object may be reached by very many chains; these are enough to see why it is there.
const MAX_CHAINS: usize = 64;

/// The chains of each answer, the shortest first, and whether there is one at all.
#[must_use]
pub fn why(answers: &[Answer], soname: &[u8], ui: &Ui) -> (Vec<u8>, bool) {
    let arrow = if ui.plain() { " -> " } else { " → " };
    let mut out = String::new();
    let mut found = false;
    for answer in answers {
        let Answer::Found(closure) = answer else {
            continue;
        };
        let chains = chains(closure, soname);
        found |= !chains.is_empty();
        if chains.is_empty() {
            ui.note(&format!(
                "{}: {} is not among the objects it loads",
                escape_bytes(closure.program.as_bytes()),
                escape_bytes(soname)
            ));
        }
        for chain in chains {
            out.push_str(&chain.join(arrow));
            out.push('\n');
        }
    }
    (out.into_bytes(), found)
}

/// What a chain may end in.
#[derive(Clone, Copy)]
enum End {
    Object(usize),
    Loader,
    Missing(usize),
}

fn chains(closure: &Closure, soname: &[u8]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for end in ends(closure, soname) {
        let (last, needers): (String, Vec<Needer>) = match end {
            End::Object(index) => match closure.objects.get(index) {
                Some(it) => (
                    format!(
                        "{} [{}]",
                        escape_bytes(it.path.as_bytes()),
                        it.found_by.word()
                    ),
                    it.needed_by.clone(),
                ),
                None => continue,
            },
            End::Loader => match &closure.interpreter {
                Some(it) => (
                    format!("{} [interpreter]", escape_bytes(it.path.as_bytes())),
                    [&[Needer::Program], &it.needed_by[..]].concat(),
                ),
                None => continue,
            },
            End::Missing(index) => match closure.missing.get(index) {
                Some(it) => (
                    format!("{} [missing]", escape_bytes(&it.name)),
                    vec![it.needed_by],
                ),
                None => continue,
            },
        };
        upwards(closure, &last, &needers, &mut all);
    }
    all.sort_by_key(Vec::len);
    all
}

/// Breadth first from the object towards the program, never through one object twice.
fn upwards(closure: &Closure, last: &str, needers: &[Needer], all: &mut Vec<Vec<String>>) {
    let mut paths: Vec<Vec<Needer>> = needers.iter().map(|needer| vec![*needer]).collect();
    while !paths.is_empty() && all.len() < MAX_CHAINS {
        let mut longer = Vec::new();
        for path in paths {
            let Some(top) = path.last().copied() else {
                continue;
            };
            let Needer::Object(index) = top else {
                all.push(spell(closure, &path, last));
                continue;
            };
            let seen: HashSet<Needer> = path.iter().copied().collect();
            let above = closure.objects.get(index).map(|it| &it.needed_by);
            for needer in above.into_iter().flatten() {
                if !seen.contains(needer) && longer.len() < MAX_CHAINS * 16 {
                    longer.push([&path[..], &[*needer]].concat());
                }
            }
        }
        paths = longer;
    }
    all.truncate(MAX_CHAINS);
}

/// A path of needers, the program last, becomes a line that starts with the FILE.
fn spell(closure: &Closure, path: &[Needer], last: &str) -> Vec<String> {
    let mut words = Vec::with_capacity(path.len() + 2);
    if elf_program(closure) != &closure.program {
        words.push(escape_bytes(closure.program.as_bytes()));
    }
    words.extend(path.iter().rev().map(|needer| name_of(closure, *needer)));
    words.push(last.to_string());
    words
}

/// The objects that go by this name: as it was asked for, or as its file is called.
fn ends(closure: &Closure, soname: &[u8]) -> Vec<End> {
    let is = |path: &RootPath, name: &[u8]| {
        name == soname
            || path.as_bytes() == soname
            || path
                .file_name()
                .is_some_and(|it| it.as_encoded_bytes() == soname)
    };
    let objects = closure.objects.iter().enumerate();
    let mut ends: Vec<End> = objects
        .filter(|(_, object)| is(&object.path, &object.name))
        .map(|(index, _)| End::Object(index))
        .collect();
    if closure
        .interpreter
        .as_ref()
        .is_some_and(|it| is(&it.path, b""))
    {
        ends.push(End::Loader);
    }
    let missing = closure.missing.iter().enumerate();
    ends.extend(
        missing
            .filter(|(_, missing)| missing.name == soname)
            .map(|(index, _)| End::Missing(index)),
    );
    ends
}
