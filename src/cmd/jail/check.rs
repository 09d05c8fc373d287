//! `jail check`: is everything as the manifest says, and does every program still find what it
//! needs inside the jail?

use serde::Serialize;

use super::{absolute, directory, survey};
use crate::cli::jail::CheckArgs;
use crate::elf::{Closure, Engine, Needer, Options};
use crate::error::Exit;
use crate::model::{Manifest, RootPath};
use crate::plan::jail::{Change, Difference, compare};
use crate::root::InRoot;
use crate::ui::{Ui, escape, shell_quote};

pub(super) fn run(args: &CheckArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let dir = directory(&args.dir);
    let jail = survey::open("check", &dir)?;
    let known = jail.known();
    let found = survey::survey(&jail.root, &|path| known.contains(path))?;
    let half = jail.half_made(&found);
    let mut differences = compare(&found.visible(&jail.manifest.entries), &found.actual);
    differences.retain(|one| !half.contains_key(&one.path));
    differences.extend(half.into_keys().map(|path| Difference {
        path,
        change: Change::Half,
    }));
    differences.sort_by(|left, right| left.path.cmp(&right.path));
    let broken = broken(&jail.root, &jail.manifest);
    let wrong = differences.iter().filter(|one| one.change.counts()).count();
    if args.json {
        let shown = absolute(&dir).to_string();
        let answer = json(&shown, &differences, &broken);
        let mut text = serde_json::to_vec_pretty(&answer)?;
        text.push(b'\n');
        ui.out(&text)?;
    } else {
        ui.out(table(&differences, &broken).as_bytes())?;
        let added = differences.len() - wrong;
        ui.note(&format!(
            "{dir}: {} entries, {wrong} different, {added} added, {} of {} programs incomplete",
            jail.manifest.entries.len(),
            broken.len(),
            jail.manifest.programs.len()
        ));
        for path in &found.mounted {
            ui.note(&format!(
                "not looked at, something is mounted there: {path}"
            ));
        }
        if differences.iter().any(|one| one.change == Change::Half) {
            ui.note(
                "half: made by a change that was cut short. The same `jail add` again completes \
                 it; an update takes it away",
            );
        }
        if wrong > 0 || !broken.is_empty() {
            ui.note(&format!("next: newroot jail update {}", shell_quote(&dir)));
        }
    }
    Ok(if wrong == 0 && broken.is_empty() {
        Exit::Success
    } else {
        Exit::Findings
    })
}

/// A program that would not start, and why.
#[derive(Debug, Serialize)]
struct Broken {
    path: RootPath,
    why: Vec<String>,
}

fn broken(root: &InRoot, manifest: &Manifest) -> Vec<Broken> {
    let preload = manifest.environment.get("LD_PRELOAD");
    let options = Options {
        versions: true,
        preload: preload
            .map(|names| names.clone().into_bytes())
            .unwrap_or_default(),
        ..Options::default()
    };
    let mut engine = Engine::with_options(root, options);
    let mut out = Vec::new();
    for path in &manifest.programs {
        let why = match engine.closure(path) {
            Ok(closure) => reasons(&closure),
            Err(error) => vec![error.to_string()],
        };
        if !why.is_empty() {
            out.push(Broken {
                path: path.clone(),
                why,
            });
        }
    }
    out
}

fn reasons(closure: &Closure) -> Vec<String> {
    let name = |needer: &Needer| match needer {
        Needer::Object(index) => closure
            .objects
            .get(*index)
            .map_or_else(String::new, |object| object.path.to_string()),
        Needer::Program | Needer::Preload => closure.program.to_string(),
    };
    let mut out = Vec::new();
    for step in &closure.script {
        if let Some(missing) = &step.missing {
            out.push(format!(
                "interpreter {} is missing",
                missing.to_string_lossy()
            ));
        }
        if let Some(reason) = &step.refused {
            out.push(format!("cannot be run by {}: {reason}", step.program));
        }
        if let Some(inner) = &step.closure {
            out.extend(reasons(inner));
        }
    }
    if let Some(loader) = closure.interpreter.as_ref().filter(|it| !it.present) {
        out.push(format!("loader {} is missing", loader.path));
    }
    for missing in &closure.missing {
        let wanted = String::from_utf8_lossy(&missing.name).into_owned();
        out.push(format!(
            "{wanted} is missing, needed by {}",
            name(&missing.needed_by)
        ));
    }
    for cut in &closure.cut_off {
        out.push(format!("{}: {cut}", cut.path));
    }
    for name in &closure.not_preloaded {
        let name = String::from_utf8_lossy(name);
        out.push(format!("{name} is to be preloaded, and is missing"));
    }
    for problem in &closure.versions {
        out.push(format!(
            "{} has no version {}, needed by {}",
            String::from_utf8_lossy(&problem.object),
            String::from_utf8_lossy(&problem.version),
            name(&problem.needed_by)
        ));
    }
    out
}

/// Two columns: what, and where with the values.
fn table(differences: &[Difference], broken: &[Broken]) -> String {
    let mut out = String::new();
    for one in differences {
        let values = match &one.change {
            Change::Mode(was, is) => format!("  {was:04o} is {is:04o}"),
            Change::Owner(was, is) => format!("  {}:{} is {}:{}", was.0, was.1, is.0, is.1),
            Change::Target(was, is) => format!("  {was} is {is}"),
            Change::Kind(was, is) => format!(
                "  {} is {}",
                was.word(),
                is.map_or("something else", |kind| kind.word())
            ),
            Change::Missing | Change::Content | Change::Device | Change::Added | Change::Half => {
                String::new()
            }
        };
        let line = format!("{:<8} {}{values}", one.change.word(), one.path);
        out.push_str(&escape(&line).replace('\n', "\\n"));
        out.push('\n');
    }
    for one in broken {
        for why in &one.why {
            let line = format!("{:<8} {}: {why}", "broken", one.path);
            out.push_str(&escape(&line).replace('\n', "\\n"));
            out.push('\n');
        }
    }
    out
}

#[derive(Serialize)]
struct Answer<'a> {
    jail: &'a str,
    ok: bool,
    differences: Vec<Row<'a>>,
    added: Vec<&'a RootPath>,
    broken: &'a [Broken],
}

#[derive(Serialize)]
struct Row<'a> {
    path: &'a RootPath,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
}

fn json<'a>(jail: &'a str, differences: &'a [Difference], broken: &'a [Broken]) -> Answer<'a> {
    let rows: Vec<Row<'a>> = differences
        .iter()
        .filter(|one| one.change.counts())
        .map(|one| {
            let (listed, found) = match &one.change {
                Change::Mode(was, is) => (Some(format!("{was:04o}")), Some(format!("{is:04o}"))),
                Change::Owner(was, is) => (
                    Some(format!("{}:{}", was.0, was.1)),
                    Some(format!("{}:{}", is.0, is.1)),
                ),
                Change::Target(was, is) => (Some(was.clone()), Some(is.clone())),
                Change::Kind(was, is) => (
                    Some(was.word().to_owned()),
                    is.map(|kind| kind.word().to_owned()),
                ),
                _ => (None, None),
            };
            Row {
                path: &one.path,
                change: one.change.word(),
                listed,
                found,
            }
        })
        .collect();
    Answer {
        jail,
        ok: rows.is_empty() && broken.is_empty(),
        differences: rows,
        added: differences
            .iter()
            .filter(|one| !one.change.counts())
            .map(|one| &one.path)
            .collect(),
        broken,
    }
}
