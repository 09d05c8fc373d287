//! Which values a profile may hold. Each check says what is wrong in words that fit behind the
//! quoted value.

use std::path::{Component, Path};

use super::glob::Pattern;

/// A name for PATH, or an absolute path.
pub(super) fn program(value: &str) -> Result<(), String> {
    if value.contains('/') {
        path(value)
    } else {
        word(value)
    }
}

/// An absolute path without `..`.
pub(super) fn path(value: &str) -> Result<(), String> {
    word(value)?;
    if !value.starts_with('/') {
        return Err("must be an absolute path, as seen inside the root".to_string());
    }
    if Path::new(value)
        .components()
        .any(|part| part == Component::ParentDir)
    {
        return Err("must not contain `..`".to_string());
    }
    Ok(())
}

/// An absolute path that is not `/` itself.
pub(super) fn path_below_root(value: &str) -> Result<(), String> {
    path(value)?;
    if Path::new(value).file_name().is_none() {
        return Err("is the root itself".to_string());
    }
    Ok(())
}

/// An absolute path that may hold wildcards.
pub(super) fn glob(value: &str) -> Result<(), String> {
    path_below_root(value)?;
    Pattern::new(value)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// A package's name as its database spells it: `libc6`, `libc6:i386`, `glibc.x86_64`, `g++`.
pub(super) fn package(value: &str) -> Result<(), String> {
    word(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._:@~".contains(c);
    match value.chars().find(|c| !allowed(*c)) {
        Some(found) => Err(format!("is no package name: it contains {found:?}")),
        None => Ok(()),
    }
}

/// A login name; `:` and the newline would forge a line of passwd.
pub(super) fn user(value: &str) -> Result<(), String> {
    word(value)?;
    match value.chars().find(|c| matches!(c, ':' | ',' | '/' | ' ')) {
        Some(found) => Err(format!("is no user name: it contains {found:?}")),
        None => Ok(()),
    }
}

/// A device node by its path.
pub(super) fn device(value: &str) -> Result<(), String> {
    path_below_root(value)?;
    if !value.starts_with("/dev/") {
        return Err("must be below /dev".to_string());
    }
    Ok(())
}

/// A variable's name.
pub(super) fn variable(value: &str) -> Result<(), String> {
    word(value)?;
    if value.contains('=') {
        return Err("must not contain `=`".to_string());
    }
    Ok(())
}

/// Anything the kernel can take as an argument or the value of a variable.
pub(super) fn text(value: &str) -> Result<(), String> {
    if value.contains('\0') {
        return Err("must not contain a NUL character".to_string());
    }
    Ok(())
}

/// Something, without control characters.
pub(super) fn word(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("must not be empty".to_string());
    }
    if value.chars().any(char::is_control) {
        return Err("must not contain control characters".to_string());
    }
    Ok(())
}

/// Permission bits in octal, at most four digits.
pub(super) fn mode(value: &str) -> Result<u32, String> {
    let digits = value.strip_prefix("0o").unwrap_or(value);
    let octal = !digits.is_empty() && digits.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal && mode <= 0o7777 => Ok(mode),
        _ => Err("must be permission bits in octal, as in \"0755\"".to_string()),
    }
}
