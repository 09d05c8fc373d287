//! `newroot profile`.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::profile::{ProfileAction, ProfileArgs};
use crate::error::{Exit, Failure};
use crate::profile::{Library, LoadError, ParseError, Source, parse};
use crate::root::{Host, Tree};
use crate::ui::{self, Ui};

pub(super) fn run(args: &ProfileArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let library = library(&Host)?;
    match &args.action {
        ProfileAction::List { json } => list(&library, *json, ui),
        ProfileAction::Show { name } => show(&library, name, ui),
    }
}

/// The profiles that this user finds, with the environment and working directory of this
/// process.
pub(super) fn library(tree: &dyn Tree) -> anyhow::Result<Library<'_>> {
    let working = std::env::current_dir().map_err(|error| {
        Failure::new("cannot tell the working directory", error.to_string())
            .hint("go to one that exists", "cd /")
    })?;
    let config_home = std::env::var_os("XDG_CONFIG_HOME");
    let home = std::env::var_os("HOME");
    Ok(Library::new(
        tree,
        config_home.as_deref(),
        home.as_deref(),
        &working,
    ))
}

/// One line of the list. A profile that cannot be used is listed, so that nobody wonders where
/// it is, with the reason in place of its description.
struct Row {
    name: String,
    source: Option<Source>,
    description: String,
    error: Option<String>,
}

fn list(library: &Library<'_>, json: bool, ui: &Ui) -> anyhow::Result<Exit> {
    let names = library
        .names()
        .map_err(|error| failure("profiles", error))?;
    let rows: Vec<Row> = names.iter().map(|name| row(library, name)).collect();
    let text = if json {
        as_json(&rows)?
    } else {
        as_table(&rows)
    };
    ui.out(text.as_bytes())?;
    for row in rows {
        if let Some(error) = row.error {
            ui.warn(&format!("profile {}: {error}", row.name));
        }
    }
    Ok(Exit::Success)
}

fn row(library: &Library<'_>, name: &str) -> Row {
    let mut row = Row {
        name: name.to_string(),
        source: None,
        description: String::new(),
        error: None,
    };
    match library.source(name) {
        Ok(source) => {
            match parse(&source.text, &source.origin.to_string()) {
                Ok(profile) => row.description = profile.description,
                Err(error) => row.error = Some(error.to_string()),
            }
            row.source = Some(source);
        }
        Err(error) => row.error = Some(error.to_string()),
    }
    row
}

fn as_table(rows: &[Row]) -> String {
    let names = rows.iter().map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).max("NAME".len());
    let mut out = format!("{:<width$}  {:<8}  DESCRIPTION\n", "NAME", "FROM");
    for row in rows {
        let from = row.source.as_ref().map_or("", |s| s.origin.word());
        let description = match &row.error {
            None => row.description.as_str(),
            Some(_) => "(cannot be used)",
        };
        let name = ui::escape_bytes(row.name.as_bytes());
        let description = ui::escape_bytes(description.as_bytes());
        let line = format!("{name:<width$}  {from:<8}  {description}");
        writeln!(out, "{}", line.trim_end()).ok();
    }
    out
}

fn as_json(rows: &[Row]) -> anyhow::Result<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let origin = row.source.as_ref().map(|source| &source.origin);
            json!({
                "name": row.name,
                "from": origin.map(|origin| origin.word()),
                "path": origin.and_then(|origin| origin.path()).map(ToString::to_string),
                "description": row.description,
                "error": row.error,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&json!({ "profiles": rows }))?;
    text.push('\n');
    Ok(text)
}

fn show(library: &Library<'_>, name: &str, ui: &Ui) -> anyhow::Result<Exit> {
    let wrong = |error| failure(name, error);
    if ui.verbose() {
        let merged = library.load(name).map_err(wrong)?;
        ui.out(merged.to_toml().as_bytes())?;
        return Ok(Exit::Success);
    }
    let source = library.source(name).map_err(wrong)?;
    // The file may be wrong, and then hold what a terminal obeys; tabs are fine in TOML.
    let lines: Vec<String> = source.text.split('\t').map(ui::escape).collect();
    ui.out(lines.join("\t").as_bytes())?;
    Ok(Exit::Success)
}

/// A profile that cannot be used, in the words of screen 6.
pub(super) fn failure(name: &str, error: LoadError) -> Failure {
    let what = format!("cannot use profile {name}");
    match error {
        LoadError::Parse(error) => wrong_text(&what, &error),
        LoadError::NotFound {
            name,
            chain,
            nearest,
        } => {
            let why = if chain.is_empty() {
                "there is none of that name".to_string()
            } else {
                format!(
                    "{} includes {name}, and there is none",
                    chain.join(" includes ")
                )
            };
            let failure = Failure::new(what, why);
            let failure = match nearest {
                Some(near) => failure.hint(format!("did you mean {near}"), show_command(&near)),
                None => failure,
            };
            failure.hint("the profiles there are", "newroot profile list")
        }
        LoadError::Cycle { chain } => {
            Failure::new(what, "its includes lead back to itself").detail(chain.join(" includes "))
        }
        LoadError::TooDeep { chain } => {
            Failure::new(what, "its includes are nested too deep").detail(chain.join(" includes "))
        }
        LoadError::Read { path, chain, error } => {
            let failure = Failure::new(what, format!("{path}: {error}"));
            let failure = match chain.as_slice() {
                [] => failure,
                chain => failure.detail(format!("included by {}", chain.join(" includes "))),
            };
            failure.caused_by(error)
        }
    }
}

fn wrong_text(what: &str, error: &ParseError) -> Failure {
    let why = format!("{}: {}", error.place(), error.message);
    let mut failure = Failure::new(what, why);
    failure.details = error.excerpt();
    failure.hint("every key and its meaning", "man 5 newroot-profile")
}

fn show_command(name: &str) -> String {
    format!("newroot profile show {}", ui::shell_quote(name))
}
