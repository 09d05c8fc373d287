//! `jail show`: what a jail holds, by who needs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{absolute, directory, survey};
use crate::cli::jail::ShowArgs;
use crate::error::Exit;
use crate::model::{Bytes, Entry, EntryKind, Manifest};
use crate::ui::{Ui, escape};

pub(super) fn run(args: &ShowArgs, ui: &Ui) -> anyhow::Result<Exit> {
    let dir = directory(&args.dir);
    let jail = survey::open("show", &dir)?;
    let text = if args.json {
        let answer = Answer {
            jail: absolute(&dir).to_string(),
            files: files(&jail.manifest).count(),
            bytes: files(&jail.manifest).map(|entry| entry.size).sum(),
            manifest: &jail.manifest,
        };
        let mut text = serde_json::to_string_pretty(&answer)?;
        text.push('\n');
        text
    } else {
        page(&dir.to_string(), &jail.manifest)
    };
    ui.out(text.as_bytes())?;
    Ok(Exit::Success)
}

#[derive(Serialize)]
struct Answer<'a> {
    jail: String,
    files: usize,
    bytes: u64,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

fn files(manifest: &Manifest) -> impl Iterator<Item = &Entry> {
    manifest
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.link_of.is_none())
}

/// A heading, then each reason with the files that came up for it first.
fn page(dir: &str, manifest: &Manifest) -> String {
    let mut out = String::new();
    let bytes: u64 = files(manifest).map(|entry| entry.size).sum();
    line(
        &mut out,
        &format!(
            "{dir}: {} files, {}, from {}, by {}",
            files(manifest).count(),
            Bytes(bytes),
            manifest.request.from,
            manifest.tool
        ),
    );
    let mut groups: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &manifest.entries {
        if entry.kind != EntryKind::Directory {
            let first = entry.why.first().map_or("jail", |why| &**why);
            groups.entry(first).or_default().push(entry);
        }
    }
    for (why, entries) in groups {
        let bytes: u64 = entries.iter().map(|entry| entry.size).sum();
        line(
            &mut out,
            &format!("\n{why}: {} paths, {}", entries.len(), Bytes(bytes)),
        );
        for entry in entries {
            line(&mut out, &row(entry));
        }
    }
    out
}

fn row(entry: &Entry) -> String {
    let what = match entry.kind {
        EntryKind::File => Bytes(entry.size).to_string(),
        kind => kind.word().to_owned(),
    };
    let mut out = format!("  {what:>16}  {}", entry.path);
    if let Some(target) = &entry.target {
        write!(out, " -> {}", target.shown()).ok();
    }
    if let Some(package) = &entry.package {
        write!(out, "  [{package}]").ok();
    }
    if entry.why.len() > 1 {
        write!(out, "  and for {} more", entry.why.len() - 1).ok();
    }
    out
}

/// Names may hold anything; a newline must not forge a line.
fn line(out: &mut String, text: &str) {
    let (start, rest) = text
        .strip_prefix('\n')
        .map_or(("", text), |rest| ("\n", rest));
    out.push_str(start);
    out.push_str(&escape(rest).replace('\n', "\\n"));
    out.push('\n');
}
