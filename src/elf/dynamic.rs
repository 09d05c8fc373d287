//! The dynamic section and the strings it names.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use goblin::elf::dynamic::{
    DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME,
    DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM, DT_VERSYM, Dyn,
};
use goblin::elf::program_header::ProgramHeader;
use scroll::Pread;

use super::object::{Need, NeedKind, Object, offset_in};
use super::read::{Strings, read_up_to};
use crate::root::TreeFile;

/// Not in goblin: this object hides behind the one named here (`DT_AUXILIARY`, gABI extension).
const DT_AUXILIARY: u64 = 0x7fff_fffd;
/// Not in goblin: this object is a filter for the one named here.
const DT_FILTER: u64 = 0x7fff_ffff;

/// 65,536 entries of 16 bytes; the largest real dynamic sections have a few hundred.
const MAX_DYNAMIC: u64 = 1 << 20;

/// All needed names of one object together; 65,536 entries may name the same long string.
const MAX_NAMES: usize = 4 << 20;

/// Reads the dynamic section and the strings it names.
pub(super) fn read_dynamic(
    object: &mut Object,
    page: &[u8],
    file: &TreeFile,
    segment: &ProgramHeader,
    window: &mut Vec<u8>,
) {
    // The loader sees memory: the address counts, and p_offset only where no segment has it.
    let (offset, rest) =
        offset_in(&object.loads, segment.p_vaddr).unwrap_or((segment.p_offset, segment.p_filesz));
    let size = segment.p_filesz.min(rest).min(MAX_DYNAMIC);
    let size = usize::try_from(size).unwrap_or(0);
    let in_page = usize::try_from(offset)
        .ok()
        .and_then(|start| page.get(start..start.checked_add(size)?));
    let read;
    let bytes = match in_page {
        Some(bytes) => bytes,
        None => {
            read = read_up_to(file, offset, size);
            &read
        }
    };
    let names = read_tags(object, bytes);
    let Some((offset, rest)) = object
        .tables
        .strtab
        .and_then(|address| object.offset_of(address))
    else {
        return;
    };
    let mut strings = Strings::new(file, offset, rest, window);
    strings.prepare(
        names.needs.iter().map(|(_, at)| *at).chain(
            [names.soname, names.rpath, names.runpath]
                .into_iter()
                .flatten(),
        ),
    );
    let mut room = MAX_NAMES;
    for (kind, at) in names.needs {
        if let Some(name) = strings.get(at) {
            let Some(rest) = room.checked_sub(name.len()) else {
                break;
            };
            room = rest;
            object.needs.push(Need { kind, name });
        }
    }
    object.soname = names.soname.and_then(|at| strings.get(at));
    object.runpath = names.runpath.and_then(|at| strings.get(at));
    if object.runpath.is_none() {
        object.rpath = names.rpath.and_then(|at| strings.get(at));
    }
}

/// Offsets into the string table.
#[derive(Default)]
struct Names {
    needs: Vec<(NeedKind, u64)>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
}

/// The last tag of a kind counts, except for those that name an object: all of them count.
fn read_tags(object: &mut Object, bytes: &[u8]) -> Names {
    let mut names = Names::default();
    let mut offset = 0;
    let ctx = object.target.ctx();
    while let Ok(entry) = bytes.gread_with::<Dyn>(&mut offset, ctx) {
        let value = entry.d_val;
        match entry.d_tag {
            DT_NULL => break,
            DT_NEEDED => names.needs.push((NeedKind::Needed, value)),
            DT_AUXILIARY => names.needs.push((NeedKind::Auxiliary, value)),
            DT_FILTER => names.needs.push((NeedKind::Filter, value)),
            DT_SONAME => names.soname = Some(value),
            DT_RPATH => names.rpath = Some(value),
            DT_RUNPATH => names.runpath = Some(value),
            DT_FLAGS_1 => object.flags_1 = value,
            DT_STRTAB => object.tables.strtab = Some(value),
            DT_SYMTAB => object.tables.symtab = Some(value),
            DT_HASH => object.tables.hash = Some(value),
            DT_GNU_HASH => object.tables.gnu_hash = Some(value),
            DT_VERSYM => object.tables.versym = Some(value),
            DT_VERNEED => object.tables.verneed = Some(value),
            DT_VERNEEDNUM => object.tables.verneed_count = value,
            DT_VERDEF => object.tables.verdef = Some(value),
            DT_VERDEFNUM => object.tables.verdef_count = value,
            _ => {}
        }
    }
    names
}
