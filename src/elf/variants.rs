//! The other versions of a library, for other CPUs: glibc-hwcaps sub-directories beside it and
//! entries of the cache. A jail takes the baseline and the variants, so that it also works on
//! another machine.

use std::rc::Rc;
use std::sync::Arc;

use super::engine::{Engine, Levels};
use super::glibc::{base_directory, level_path};
use super::loader::{Family, Loader};
use super::types::{FoundBy, Variant};
use super::walk::Loaded;
use crate::model::RootPath;

/// Every version of `loaded`, the baseline first; empty when there is only the one.
pub(super) fn find(engine: &mut Engine<'_>, loader: &Loader, loaded: &Loaded) -> Vec<Variant> {
    let searched = !matches!(loaded.by, FoundBy::Path);
    if loader.family != Family::Glibc || !searched || loaded.name.contains(&b'/') {
        return Vec::new();
    }
    let key = (loaded.path.clone(), loaded.by == FoundBy::Cache);
    if let Some((name, known)) = loader.variants.borrow().get(&key)
        && *name == loaded.name
    {
        return known.clone();
    }
    let found = look(engine, loader, loaded);
    let known = (Arc::clone(&loaded.name), found.clone());
    loader.variants.borrow_mut().insert(key, known);
    found
}

fn look(engine: &mut Engine<'_>, loader: &Loader, loaded: &Loaded) -> Vec<Variant> {
    let mut found = Vec::new();
    let mut add = |engine: &mut Engine<'_>, path: Vec<u8>, level: Option<&[u8]>| {
        let (_, state) = engine.file(&path);
        let path = RootPath::from_bytes(&path);
        let known = found.iter().any(|have: &Variant| have.path == path);
        if loader.takes(state) && !known {
            let level = level.map(|level| String::from_utf8_lossy(level).into_owned());
            found.push(Variant { path, level });
        }
    };
    let directory = base_directory(loaded.path.as_bytes()).to_vec();
    add(engine, [&directory, &b"/"[..], &loaded.name].concat(), None);
    for level in levels_in(engine, &directory).iter() {
        add(
            engine,
            level_path(&directory, level, &loaded.name),
            Some(level),
        );
    }
    if let Some(cache) = engine.cache(loader).filter(|_| loaded.by == FoundBy::Cache) {
        for entry in cache.entries(&loaded.name, |flags| loader.cache_flags_fit(flags)) {
            if entry.level.is_some() {
                let path = engine.absolute(&entry.path);
                add(engine, path, entry.level.as_deref());
            }
        }
    }
    if found.len() < 2 {
        return Vec::new();
    }
    found.sort_by(|one, other| one.level.cmp(&other.level));
    found
}

/// The names below `directory/glibc-hwcaps`, whether this CPU takes them or not.
fn levels_in(engine: &Engine<'_>, directory: &[u8]) -> Rc<Levels> {
    use std::os::unix::ffi::OsStringExt;
    if let Some(known) = engine.listings.borrow().get(directory) {
        return Rc::clone(known);
    }
    let path = RootPath::from_bytes(&[directory, b"/glibc-hwcaps"].concat());
    let names: Rc<Levels> = engine
        .tree
        .list(&path)
        .unwrap_or_default()
        .into_iter()
        .map(OsStringExt::into_vec)
        .collect();
    engine
        .listings
        .borrow_mut()
        .insert(Box::from(directory), Rc::clone(&names));
    names
}
