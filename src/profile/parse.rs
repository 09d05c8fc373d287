//! A profile's text into a [`Profile`]. Pure: no file is opened, nothing is looked up.
//!
//! The document is walked by hand over `toml`'s spanned tree and not through serde: only so can
//! every error name its place, quote the value, and say what to write instead.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::error::{Fault, ParseError};
use super::model::{Bind, Directory, Link, Profile};
use super::nearest::nearest;
use crate::model::RootPath;

type Value<'t> = Spanned<DeValue<'t>>;
type Reader = fn(&mut Profile, &str, &Value<'_>) -> Result<(), Fault>;
type Check = fn(&str) -> Result<(), String>;

/// Every key of a profile, in the order of newroot-profile(5).
const KEYS: &[(&str, Reader)] = &[
    ("description", |profile, key, value| {
        profile.description = string(key, value, check::word)?;
        Ok(())
    }),
    ("include", |profile, key, value| {
        profile.include = strings(key, value, check::word)?;
        Ok(())
    }),
    ("programs", |profile, key, value| {
        profile.programs = strings(key, value, check::program)?;
        Ok(())
    }),
    ("optional_programs", |profile, key, value| {
        profile.optional_programs = strings(key, value, check::program)?;
        Ok(())
    }),
    ("applets_of", |profile, key, value| {
        profile.applets_of = strings(key, value, check::program)?;
        Ok(())
    }),
    ("packages", |profile, key, value| {
        profile.packages = strings(key, value, check::package)?;
        Ok(())
    }),
    ("optional_packages", |profile, key, value| {
        profile.optional_packages = strings(key, value, check::package)?;
        Ok(())
    }),
    ("files", |profile, key, value| {
        profile.files = strings(key, value, check::glob)?;
        Ok(())
    }),
    ("optional_files", |profile, key, value| {
        profile.optional_files = strings(key, value, check::glob)?;
        Ok(())
    }),
    ("exclude", |profile, key, value| {
        profile.exclude = strings(key, value, check::glob)?;
        Ok(())
    }),
    ("directories", |profile, key, value| {
        profile.directories = items(key, value)?
            .map(|item| directory(key, item))
            .collect::<Result<_, _>>()?;
        Ok(())
    }),
    ("symlinks", |profile, key, value| {
        let links = pairs(key, value, check::path_below_root, |target| {
            check::word(target)
        })?;
        profile.symlinks = links
            .into_iter()
            .map(|(path, target)| Link {
                path: RootPath::new(path),
                target: PathBuf::from(target),
            })
            .collect();
        Ok(())
    }),
    ("users", |profile, key, value| {
        profile.users = strings(key, value, check::user)?;
        Ok(())
    }),
    ("devices", |profile, key, value| {
        profile.devices = strings(key, value, check::device)?;
        Ok(())
    }),
    ("environment", |profile, key, value| {
        let variables = pairs(key, value, check::variable, check::text)?;
        profile.environment = variables.into_iter().collect();
        Ok(())
    }),
    ("command", |profile, key, value| {
        profile.command = strings(key, value, check::text)?;
        match profile
            .command
            .first()
            .map(|program| check::program(program))
        {
            Some(Err(why)) => Err(Fault::new(
                value.span(),
                format!("the program of `{key}` {why}"),
            )),
            _ => Ok(()),
        }
    }),
    ("binds", |profile, key, value| {
        profile.binds = items(key, value)?
            .map(|item| bind(key, item))
            .collect::<Result<_, _>>()?;
        Ok(())
    }),
    ("keep_privileges", |profile, key, value| {
        match value.get_ref() {
            DeValue::Boolean(keep) => {
                profile.keep_privileges = *keep;
                Ok(())
            }
            _ => Err(wrong_type(key, "true or false", value)),
        }
    }),
];

/// The keys a profile may have, in the order of newroot-profile(5).
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// Reads a profile. `file` is what errors call it; its stem becomes the profile's name.
///
/// # Errors
/// The first fault in the text, with its place.
pub fn parse(text: &str, file: &str) -> Result<Profile, Box<ParseError>> {
    read(text, file).map_err(|fault| Box::new(ParseError::locate(fault, text, file)))
}

fn read(text: &str, file: &str) -> Result<Profile, Fault> {
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().replace('\n', ", ");
        Fault::new(error.span().unwrap_or(0..0), message)
    })?;
    let mut profile = Profile {
        name: stem(file),
        ..Profile::default()
    };
    for (key, value) in in_order(document.get_ref()) {
        let name: &str = key.get_ref();
        let Some((_, reader)) = KEYS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = known_keys().collect();
            return Err(unknown_key(key, &known));
        };
        reader(&mut profile, name, value)?;
    }
    Ok(profile)
}

/// `dns` for `/etc/newroot/profiles/dns.toml`.
pub(super) fn stem(file: &str) -> String {
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name).to_string()
}

/// The keys as the file has them, so that the first fault is the topmost.
fn in_order<'d, 't>(
    table: &'d DeTable<'t>,
) -> Vec<(&'d Spanned<std::borrow::Cow<'t, str>>, &'d Value<'t>)> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

fn unknown_key(key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&str]) -> Fault {
    let word: &str = key.get_ref();
    let fault = Fault::new(key.span(), format!("unknown key `{word}`"));
    match nearest(word, known.iter().copied()) {
        Some(near) => fault.suggest(format!("did you mean `{near}`?")),
        None => fault.suggest(format!("known keys: {}", known.join(", "))),
    }
}

fn type_name(value: &Value<'_>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn wrong_type(key: &str, wanted: &str, value: &Value<'_>) -> Fault {
    let found = type_name(value);
    Fault::new(
        value.span(),
        format!("`{key}` must be {wanted}, not {found}"),
    )
}

fn bad_value(text: &str, why: &str, value: &Value<'_>) -> Fault {
    Fault::new(value.span(), format!("`{text}` {why}"))
}

fn string(key: &str, value: &Value<'_>, check: Check) -> Result<String, Fault> {
    let DeValue::String(text) = value.get_ref() else {
        let fault = wrong_type(key, "a string", value);
        return Err(match value.get_ref() {
            DeValue::Integer(number) => fault.suggest(format!("write \"{number}\"")),
            DeValue::Boolean(flag) => fault.suggest(format!("write \"{flag}\"")),
            _ => fault,
        });
    };
    check(text).map_err(|why| bad_value(text, &why, value))?;
    Ok(text.to_string())
}

fn items<'v, 't>(
    key: &str,
    value: &'v Value<'t>,
) -> Result<impl Iterator<Item = &'v Value<'t>>, Fault> {
    match value.get_ref() {
        DeValue::Array(items) => Ok(items.iter()),
        DeValue::String(text) => Err(wrong_type(key, "a list", value)
            .suggest(format!("write {key} = [{}]", listed(key, text)))),
        _ => Err(wrong_type(key, "a list", value)),
    }
}

/// How a string would look as a list: a command's words each by themselves.
fn listed(key: &str, text: &str) -> String {
    if key == "command" {
        let words: Vec<String> = text.split_whitespace().map(|w| format!("{w:?}")).collect();
        words.join(", ")
    } else {
        format!("{text:?}")
    }
}

fn strings(key: &str, value: &Value<'_>, check: Check) -> Result<Vec<String>, Fault> {
    items(key, value)?
        .map(|item| match item.get_ref() {
            DeValue::String(_) => string(key, item, check),
            _ => {
                let found = type_name(item);
                let message = format!("`{key}` is a list of strings; this is {found}");
                Err(Fault::new(item.span(), message))
            }
        })
        .collect()
}

fn pairs(
    key: &str,
    value: &Value<'_>,
    check_name: Check,
    check_text: Check,
) -> Result<Vec<(String, String)>, Fault> {
    let DeValue::Table(table) = value.get_ref() else {
        let example = match key {
            "symlinks" => "write symlinks = { \"/bin/vi\" = \"vim\" }",
            _ => "write environment = { LANG = \"C.UTF-8\" }",
        };
        return Err(wrong_type(key, "a table", value).suggest(example));
    };
    in_order(table)
        .into_iter()
        .map(|(name, value)| {
            let text: &str = name.get_ref();
            check_name(text).map_err(|why| Fault::new(name.span(), format!("`{text}` {why}")))?;
            Ok((text.to_string(), string(text, value, check_text)?))
        })
        .collect()
}

fn directory(key: &str, value: &Value<'_>) -> Result<Directory, Fault> {
    const KEYS: [&str; 4] = ["path", "mode", "owner", "group"];
    let table = match value.get_ref() {
        DeValue::String(_) => {
            return Ok(Directory {
                path: RootPath::new(string(key, value, check::path_below_root)?),
                mode: 0o755,
                owner: None,
                group: None,
            });
        }
        DeValue::Table(table) => table,
        _ => {
            let fault = wrong_type(key, "a list of paths", value);
            return Err(fault.suggest("or of { path = \"/var/lib/x\", mode = \"0750\" }"));
        }
    };
    let (mut path, mut mode, mut owner, mut group) = (None, 0o755, None, None);
    for (name, value) in in_order(table) {
        let field: &str = name.get_ref();
        match field {
            "path" => path = Some(string(field, value, check::path_below_root)?),
            "mode" => mode = permission(value)?,
            "owner" => owner = Some(string(field, value, check::user)?),
            "group" => group = Some(string(field, value, check::user)?),
            _ => return Err(unknown_key(name, &KEYS)),
        }
    }
    let path = path.ok_or_else(|| Fault::new(value.span(), "a directory needs a `path`"))?;
    Ok(Directory {
        path: RootPath::new(path),
        mode,
        owner,
        group,
    })
}

/// A string, or a TOML number that is written in octal: 755 in decimal is 01363.
fn permission(value: &Value<'_>) -> Result<u32, Fault> {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 8 => number.as_str().to_string(),
        DeValue::Integer(number) => {
            let fault = Fault::new(value.span(), "`mode` must be octal, this is decimal");
            return Err(fault.suggest(format!("write mode = \"0{number}\"")));
        }
        _ => return Err(wrong_type("mode", "a string of octal digits", value)),
    };
    check::mode(&text).map_err(|why| bad_value(&text, &why, value))
}

fn bind(key: &str, value: &Value<'_>) -> Result<Bind, Fault> {
    let text = string(key, value, check::word)?;
    text.parse()
        .map_err(|why: super::BindError| bad_value(&text, &why.to_string(), value))
}

#[cfg(test)]
mod tests;
