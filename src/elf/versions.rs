//! Symbol versions: what each object demands of another (verneed) against what that one defines
//! (verdef). A demand that is not met is what "version `GLIBC_2.38' not found" is (rule G12).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashSet;
use std::rc::Rc;

use goblin::elf::SectionHeader;
use goblin::elf::section_header::{SHT_GNU_VERDEF, SHT_GNU_VERNEED};
use goblin::elf::symver::{VerdefSection, VerneedSection};

use super::answer::Finished;
use super::engine::Engine;
use super::object::Object;
use super::read::{Strings, read_up_to};
use super::types::VersionProblem;
use super::walk::Loaded;
use crate::root::TreeFile;

/// `VER_FLG_WEAK`: start-up goes on without it.
const WEAK: u16 = 2;
/// libc's verneed and verdef are a few KiB.
const MAX_SECTION: usize = 1 << 20;
/// libc defines some 60 versions.
const MAX_ENTRIES: usize = 1 << 14;

/// The versions of one object.
#[derive(Debug, Default)]
pub struct Versions {
    /// `(file, version)`, weak ones left out.
    pub needs: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it defines; `None` when it has no versions at all.
    pub defines: Option<HashSet<Vec<u8>>>,
}

/// Checks every demand of every loaded object.
pub(super) fn check(engine: &mut Engine<'_>, finished: &Finished) -> Vec<VersionProblem> {
    let loaded = &finished.loaded;
    let all: Vec<Rc<Versions>> = loaded.iter().map(|it| versions_of(engine, it)).collect();
    let mut problems = Vec::new();
    for (index, versions) in all.iter().enumerate() {
        for (file, version) in &versions.needs {
            let Some(provider) = provider(loaded, file) else {
                continue;
            };
            let met = all
                .get(provider)
                .and_then(|provider| provider.defines.as_ref())
                .is_none_or(|defines| defines.contains(version));
            if !met {
                problems.push(VersionProblem {
                    needed_by: finished.needer(index),
                    object: file.clone(),
                    version: version.clone(),
                });
            }
        }
    }
    problems
}

/// The object that the loader would look into: by name, as `find_needed` in dl-version.c does.
fn provider(loaded: &[Loaded], file: &[u8]) -> Option<usize> {
    loaded.iter().position(|it| {
        *it.name == *file
            || it.aliases.iter().any(|alias| **alias == *file)
            || it.object.soname.as_deref() == Some(file)
    })
}

fn versions_of(engine: &mut Engine<'_>, loaded: &Loaded) -> Rc<Versions> {
    if let Some(known) = engine.versions.get(&loaded.object.id) {
        return Rc::clone(known);
    }
    let versions = engine
        .tree
        .open(&loaded.path)
        .map(|file| read(&file, &loaded.object))
        .unwrap_or_default();
    let versions = Rc::new(versions);
    engine
        .versions
        .insert(loaded.object.id, Rc::clone(&versions));
    versions
}

/// Reads both tables of an object.
#[must_use]
pub fn read(file: &TreeFile, object: &Object) -> Versions {
    Versions {
        needs: needs(file, object).unwrap_or_default(),
        defines: defines(file, object),
    }
}

/// goblin finds the tables by section headers, which a loader never reads: one is made up from
/// the dynamic section.
fn section(
    file: &TreeFile,
    object: &Object,
    kind: u32,
    address: Option<u64>,
    count: u64,
) -> Option<(Vec<u8>, SectionHeader)> {
    let (offset, rest) = object.offset_of(address?)?;
    let size = usize::try_from(rest).unwrap_or(usize::MAX).min(MAX_SECTION);
    let bytes = read_up_to(file, offset, size);
    let header = SectionHeader {
        sh_type: kind,
        sh_offset: 0,
        sh_size: bytes.len() as u64,
        sh_info: u32::try_from(count).unwrap_or(u32::MAX).min(1 << 14),
        ..SectionHeader::default()
    };
    Some((bytes, header))
}

fn needs(file: &TreeFile, object: &Object) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let tables = &object.tables;
    let (bytes, header) = section(
        file,
        object,
        SHT_GNU_VERNEED,
        tables.verneed,
        tables.verneed_count,
    )?;
    let section = VerneedSection::parse(&bytes, &[header], object.target.ctx()).ok()??;
    let mut wanted: Vec<(u64, u64)> = Vec::new();
    for need in &section {
        for aux in &need {
            if aux.vna_flags & WEAK == 0 && wanted.len() < MAX_ENTRIES {
                let file = u64::try_from(need.vn_file).ok()?;
                wanted.push((file, u64::try_from(aux.vna_name).ok()?));
            }
        }
    }
    let mut window = Vec::new();
    let strings = strings(file, object, &mut window, wanted.iter().map(|it| it.1))?;
    Some(
        wanted
            .into_iter()
            .filter_map(|(file, version)| {
                Some((strings.get(file)?.to_vec(), strings.get(version)?.to_vec()))
            })
            .collect(),
    )
}

fn defines(file: &TreeFile, object: &Object) -> Option<HashSet<Vec<u8>>> {
    let tables = &object.tables;
    let (bytes, header) = section(
        file,
        object,
        SHT_GNU_VERDEF,
        tables.verdef,
        tables.verdef_count,
    )?;
    let section = VerdefSection::parse(&bytes, &[header], object.target.ctx()).ok()??;
    let mut names: Vec<u64> = Vec::new();
    for definition in &section {
        // The first name is the version's own; the others are those it inherits from.
        if let Some(aux) = definition.iter().next()
            && names.len() < MAX_ENTRIES
        {
            names.push(u64::try_from(aux.vda_name).ok()?);
        }
    }
    let mut window = Vec::new();
    let strings = strings(file, object, &mut window, names.iter().copied())?;
    Some(
        names
            .into_iter()
            .filter_map(|at| Some(strings.get(at)?.to_vec()))
            .collect(),
    )
}

fn strings<'a>(
    file: &'a TreeFile,
    object: &Object,
    window: &'a mut Vec<u8>,
    wanted: impl Iterator<Item = u64>,
) -> Option<Strings<'a>> {
    let (offset, rest) = object.offset_of(object.tables.strtab?)?;
    let mut strings = Strings::new(file, offset, rest, window);
    strings.prepare(wanted);
    Some(strings)
}
