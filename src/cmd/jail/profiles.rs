//! What profiles name: programs, packages, files and globs, directories, links, users, devices.

use std::ffi::OsStr;

use super::content::Content;
use super::gather::{For, Gatherer, Need};
use super::items;
use super::problem::{Note, Problem};
use crate::cmd::profile::{failure, library};
use crate::model::{BindEntry, Kind, RootPath, Text};
use crate::plan::Owner;
use crate::plan::jail::{Made, MadeWhat};
use crate::probe::{Accounts, PackageError, Packages};
use crate::profile::{Pattern, Profile};
use crate::root::Host;

/// Loads profiles by name or path, each with what it includes.
pub(super) fn load(names: &[String]) -> anyhow::Result<Vec<Profile>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let library = library(&Host)?;
    names
        .iter()
        .map(|name| {
            library
                .load(name)
                .map_err(|error| failure(name, error).into())
        })
        .collect()
}

/// Programs whose names are those of profiles: these know what such a program loads later.
pub(super) fn helpful(programs: &[&str], taken: &[String]) -> Vec<String> {
    let names = library(&Host).and_then(|library| Ok(library.names()?));
    let names = names.unwrap_or_default();
    programs
        .iter()
        .filter(|name| names.contains(**name) && !taken.iter().any(|one| one == **name))
        .map(|name| (*name).to_owned())
        .collect()
}

/// Gathers everything that one profile names.
pub(super) fn take(
    gatherer: &mut Gatherer<'_>,
    content: &mut Content,
    profile: &Profile,
    name: &str,
    keep_privileges: bool,
    accounts: &Accounts,
) {
    let by = format!("profile {name}");
    let who = For {
        reason: gatherer.reason(&by),
        keep_privileges: keep_privileges || profile.keep_privileges,
        need: Need::Required,
        scripts: false,
    };
    gatherer.exclude = patterns(&profile.exclude);
    for program in &profile.programs {
        items::take(gatherer, &text(program), &by, who);
    }
    for program in &profile.optional_programs {
        optional_program(gatherer, program, &by, who);
    }
    packages(gatherer, profile, &by, who);
    for pattern in &profile.files {
        files(gatherer, pattern, &by, who, Need::Required);
    }
    for pattern in &profile.optional_files {
        files(gatherer, pattern, &by, who, Need::Incidental);
    }
    for device in &profile.devices {
        items::path(gatherer, &RootPath::new(device), who);
    }
    for program in &profile.applets_of {
        super::applets::take(gatherer, content, program, &by, who);
    }
    gatherer.exclude.clear();
    made(content, profile, &by, accounts);
    // A profile serves several distributions, each of which has its own name for the user.
    let known = profile
        .users
        .iter()
        .filter(|name| accounts.user(name).is_some());
    let before = content.users.len();
    content.users.extend(known.cloned());
    if content.users.len() == before && !profile.users.is_empty() {
        // Some of them may be there for another profile: then there is nothing to say.
        let strange = |name: &&String| !content.users.contains(*name);
        let unknown: Vec<&str> = profile
            .users
            .iter()
            .filter(strange)
            .map(String::as_str)
            .collect();
        if unknown.len() == profile.users.len() {
            gatherer.notes.push(Note::NoUsers {
                by: by.clone(),
                names: unknown.join(", "),
            });
        }
    }
    content.environment.extend(profile.environment.clone());
    if !profile.command.is_empty() {
        content.command.clone_from(&profile.command);
    }
    content
        .binds
        .extend(profile.binds.iter().map(|bind| BindEntry {
            source: Text(bind.source.as_os_str().as_encoded_bytes().to_vec()),
            target: bind.target.clone(),
            read_only: bind.read_only,
        }));
}

fn text(item: &str) -> Text {
    Text(item.as_bytes().to_vec())
}

fn patterns(texts: &[String]) -> Vec<Pattern> {
    // The parser has looked at them.
    texts
        .iter()
        .filter_map(|text| Pattern::new(text).ok())
        .collect()
}

fn optional_program(gatherer: &mut Gatherer<'_>, program: &str, by: &str, who: For) {
    let found = if program.contains('/') {
        let path = RootPath::new(program);
        gatherer.tree().stat(&path).is_ok().then_some(path)
    } else {
        items::find(gatherer, OsStr::new(program))
    };
    match found {
        Some(path) => gatherer.optional(&path, who),
        None => gatherer.notes.push(Note::Absent {
            what: format!("program {program}"),
            by: by.to_owned(),
        }),
    }
}

fn packages(gatherer: &mut Gatherer<'_>, profile: &Profile, by: &str, who: For) {
    let required = profile.packages.iter().map(|name| (name, true));
    let optional = profile.optional_packages.iter().map(|name| (name, false));
    let all: Vec<(&String, bool)> = required.chain(optional).collect();
    if all.is_empty() {
        return;
    }
    let database = Packages::open(gatherer.tree());
    for (package, is_required) in all {
        match database.files_of(package) {
            Ok(files) => {
                let reason = gatherer.reason(&format!("package {package}"));
                let who = For { reason, ..who };
                for path in files.directories.iter().chain(&files.files) {
                    gatherer.take(path, who);
                }
            }
            Err(PackageError::NotInstalled { .. } | PackageError::NoDatabase) if !is_required => {
                gatherer.notes.push(Note::Absent {
                    what: format!("package {package}"),
                    by: by.to_owned(),
                });
            }
            Err(error) => gatherer.problems.push(Problem::Package {
                by: by.to_owned(),
                why: error.to_string(),
            }),
        }
    }
}

fn files(gatherer: &mut Gatherer<'_>, pattern: &str, by: &str, who: For, need: Need) {
    let found = Pattern::new(pattern).and_then(|pattern| pattern.expand(gatherer.tree()));
    let paths = match found {
        Ok(paths) => paths,
        Err(error) => {
            gatherer.problems.push(Problem::Package {
                by: by.to_owned(),
                why: error.to_string(),
            });
            return;
        }
    };
    if paths.is_empty() {
        match need {
            Need::Required => gatherer.problems.push(Problem::NoMatch {
                pattern: pattern.to_owned(),
                by: by.to_owned(),
            }),
            Need::Incidental => gatherer.notes.push(Note::Absent {
                what: pattern.to_owned(),
                by: by.to_owned(),
            }),
        }
    }
    for path in paths {
        match gatherer.tree().stat(&path).map(|meta| meta.kind) {
            Ok(Kind::Directory) => gatherer.directory(&path, who),
            _ => gatherer.take(&path, who),
        }
    }
}

fn made(content: &mut Content, profile: &Profile, by: &str, accounts: &Accounts) {
    for directory in &profile.directories {
        let user = directory
            .owner
            .as_ref()
            .and_then(|name| accounts.user(name));
        let group = directory
            .group
            .as_ref()
            .and_then(|name| accounts.group(name));
        let owner = (user.is_some() || group.is_some()).then(|| Owner {
            uid: user.map_or(0, |user| user.uid),
            gid: group.map_or_else(|| user.map_or(0, |user| user.gid), |group| group.gid),
        });
        content.made.push(Made {
            path: directory.path.clone(),
            what: MadeWhat::Directory {
                mode: directory.mode,
                owner,
            },
            reason: by.into(),
            weak: false,
        });
    }
    for link in &profile.symlinks {
        content.made.push(Made {
            path: link.path.clone(),
            what: MadeWhat::Link {
                target: link.target.clone(),
            },
            reason: by.into(),
            weak: false,
        });
    }
}

/// Users that were asked for by name and that nobody has, as problems.
pub(super) fn check_users(gatherer: &mut Gatherer<'_>, users: &[String], accounts: &Accounts) {
    for name in users {
        if accounts.user(name).is_none() {
            gatherer
                .problems
                .push(Problem::NoUser { name: name.clone() });
        }
    }
}
