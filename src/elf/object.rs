//! One ELF file, as far as a loader looks at it: header, program headers, dynamic section and
//! the few strings that section names.
//!
//! Only those bytes are read, by pread(2): a mapping would be slower and would kill us with
//! SIGBUS when somebody truncates the file. Everything here is hostile input: sizes are bounded
//! before anything is allocated, and no section header is ever looked at (loaders do not).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::sync::Arc;

use goblin::elf::Elf;
use goblin::elf::dynamic::DF_1_PIE;
use goblin::elf::header::{ET_DYN, ET_EXEC, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_NOTE, ProgramHeader};

use super::dynamic::read_dynamic;
use super::read::{Scratch, read_range};
pub use super::target::{Refusal, Target};
use super::target::{entry_size, identify};
use crate::model::{FileId, Meta};
use crate::root::TreeFile;

/// PT_INTERP is a path: the kernel takes no more than PATH_MAX.
const MAX_INTERP: u64 = 4096;
/// How a needed name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// `DT_NEEDED`.
    Needed,
    /// `DT_AUXILIARY`: loaded before this object when it is there, ignored when not.
    Auxiliary,
    /// `DT_FILTER`: loaded before this object.
    Filter,
}

/// One name that an object asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// How it is meant.
    pub kind: NeedKind,
    /// The name, not expanded.
    pub name: Arc<[u8]>,
}

/// Where a part of the file is, and at which address the loader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Virtual address.
    pub address: u64,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    /// `PF_R | PF_W | PF_X`.
    pub flags: u32,
    /// `p_align`.
    pub align: u64,
}

/// Addresses of the tables that are read only when somebody asks (versions, symbols).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `DT_STRTAB`.
    pub strtab: Option<u64>,
    /// `DT_SYMTAB`.
    pub symtab: Option<u64>,
    /// `DT_HASH`.
    pub hash: Option<u64>,
    /// `DT_GNU_HASH`.
    pub gnu_hash: Option<u64>,
    /// `DT_VERSYM`.
    pub versym: Option<u64>,
    /// `DT_VERNEED`.
    pub verneed: Option<u64>,
    /// `DT_VERNEEDNUM`.
    pub verneed_count: u64,
    /// `DT_VERDEF`.
    pub verdef: Option<u64>,
    /// `DT_VERDEFNUM`.
    pub verdef_count: u64,
}

/// An ELF file.
#[derive(Clone, Debug)]
pub struct Object {
    /// Which file.
    pub id: FileId,
    /// Its permission bits: set-id changes the loader's rules.
    pub mode: u32,
    /// Class, byte order and machine.
    pub target: Target,
    /// `e_type`.
    pub file_type: u16,
    /// PT_INTERP, up to its NUL.
    pub interp: Option<Arc<[u8]>>,
    /// Whether there is a PT_DYNAMIC with bytes in the file.
    pub has_dynamic: bool,
    /// What it asks for, in tag order.
    pub needs: Vec<Need>,
    /// DT_SONAME.
    pub soname: Option<Arc<[u8]>>,
    /// DT_RPATH; dropped where a DT_RUNPATH is (glibc and musl agree).
    pub rpath: Option<Arc<[u8]>>,
    /// DT_RUNPATH.
    pub runpath: Option<Arc<[u8]>>,
    /// DT_FLAGS_1.
    pub flags_1: u64,
    /// PT_LOAD.
    pub loads: Vec<Segment>,
    /// PT_NOTE.
    pub notes: Vec<Segment>,
    /// Tables for later readings.
    pub tables: Tables,
    /// The file ends before its last segment does: its length, and how long it must be. The
    /// kernel and the loaders map it all the same, and the program dies of SIGBUS.
    pub cut_off: Option<(u64, u64)>,
    /// What glibc objects to before it looks at the machine, when this is a library.
    pub(super) early_fault: Option<&'static str>,
    /// What glibc objects to after that.
    pub(super) late_fault: Option<&'static str>,
}

impl Object {
    /// The file offset of an address, and how many bytes of the file follow it in its segment.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<(u64, u64)> {
        offset_in(&self.loads, address)
    }
}

pub(super) fn offset_in(loads: &[Segment], address: u64) -> Option<(u64, u64)> {
    loads.iter().find_map(|load| {
        let inside = address.checked_sub(load.address)?;
        let rest = load.size.checked_sub(inside).filter(|rest| *rest > 0)?;
        Some((load.offset.checked_add(inside)?, rest))
    })
}

/// Reads what a loader reads.
///
/// # Errors
/// [`Refusal`] when the file cannot be understood. A read error counts as a short file.
pub fn read(file: &TreeFile, meta: &Meta, scratch: &mut Scratch) -> Result<Object, Refusal> {
    scratch.begin(file);
    parse(file, meta, scratch)
}

/// The same for a loader that does not look at `e_ident` (musl): the file is taken to be for
/// `target`.
///
/// # Errors
/// As [`read`].
pub(super) fn read_as(
    file: &TreeFile,
    meta: &Meta,
    scratch: &mut Scratch,
    target: Target,
) -> Result<Object, Refusal> {
    scratch.begin(file);
    let order = if target.little { 1 } else { 2 };
    let ident = [0x7f, b'E', b'L', b'F', target.class, order, 1];
    for (byte, wanted) in scratch.page.iter_mut().zip(ident) {
        *byte = wanted;
    }
    parse(file, meta, scratch)
}

fn parse(file: &TreeFile, meta: &Meta, scratch: &mut Scratch) -> Result<Object, Refusal> {
    let Scratch { page, window } = scratch;
    let (target, early) = identify(page)?;
    let refuse = |reason| Refusal {
        elf: true,
        class: Some(target.class),
        target: Some(target),
        reason,
    };
    let header = Elf::parse_header(page).map_err(|_ignored| refuse("invalid ELF header"))?;
    let headers = program_headers(page, file, &header, target)
        .ok_or_else(|| refuse("cannot read file data"))?;
    let early_fault = early.or_else(|| {
        (header.e_version != 1).then_some("ELF file version does not match current one")
    });
    let mut object = Object {
        id: meta.id,
        mode: meta.mode,
        target,
        file_type: header.e_type,
        interp: None,
        has_dynamic: false,
        needs: Vec::new(),
        soname: None,
        rpath: None,
        runpath: None,
        flags_1: 0,
        loads: segments(&headers, PT_LOAD),
        notes: segments(&headers, PT_NOTE),
        tables: Tables::default(),
        cut_off: None,
        early_fault,
        late_fault: None,
    };
    object.interp = headers
        .iter()
        .find(|header| header.p_type == PT_INTERP)
        .and_then(|header| interpreter(page, file, header));
    // The last one counts, and a debug file has one without bytes.
    let dynamic = headers
        .iter()
        .rfind(|header| header.p_type == PT_DYNAMIC && header.p_filesz > 0);
    if let Some(dynamic) = dynamic {
        object.has_dynamic = true;
        read_dynamic(&mut object, page, file, dynamic, window);
    }
    let ends = object.loads.iter().filter(|load| load.size > 0);
    let whole = ends.map(|load| load.offset.saturating_add(load.size)).max();
    object.cut_off = whole
        .filter(|whole| *whole > meta.size)
        .map(|whole| (meta.size, whole));
    object.late_fault = late_fault(&object, &header);
    Ok(object)
}

/// What glibc refuses in a library that is otherwise for this machine.
fn late_fault(object: &Object, header: &Header) -> Option<&'static str> {
    if object.file_type != ET_DYN && object.file_type != ET_EXEC {
        Some("only ET_DYN and ET_EXEC can be loaded")
    } else if usize::from(header.e_phentsize) != entry_size(object.target) {
        Some("ELF file's phentsize not the expected size")
    } else if object.loads.is_empty() {
        Some("object file has no loadable segments")
    } else if object.file_type == ET_EXEC {
        Some("cannot dynamically load executable")
    } else if !object.has_dynamic {
        Some("object file has no dynamic section")
    } else if object.flags_1 & DF_1_PIE != 0 {
        Some("cannot dynamically load position-independent executable")
    } else {
        None
    }
}

fn program_headers(
    page: &[u8],
    file: &TreeFile,
    header: &Header,
    target: Target,
) -> Option<Vec<ProgramHeader>> {
    let count = usize::from(header.e_phnum);
    let size = count.checked_mul(entry_size(target))?;
    let start = usize::try_from(header.e_phoff).ok()?;
    let end = start.checked_add(size)?;
    if let Some(bytes) = page.get(start..end) {
        return ProgramHeader::parse(bytes, 0, count, target.ctx()).ok();
    }
    // At most 65,535 headers of 56 bytes.
    let bytes = read_range(file, header.e_phoff, size)?;
    ProgramHeader::parse(&bytes, 0, count, target.ctx()).ok()
}

fn segments(headers: &[ProgramHeader], kind: u32) -> Vec<Segment> {
    headers
        .iter()
        .filter(|header| header.p_type == kind)
        .map(|header| Segment {
            address: header.p_vaddr,
            offset: header.p_offset,
            size: header.p_filesz,
            flags: header.p_flags,
            align: header.p_align,
        })
        .collect()
}

fn interpreter(page: &[u8], file: &TreeFile, header: &ProgramHeader) -> Option<Arc<[u8]>> {
    let size = usize::try_from(header.p_filesz.min(MAX_INTERP)).ok()?;
    let start = usize::try_from(header.p_offset).ok()?;
    let cut = |bytes: &[u8]| -> Arc<[u8]> {
        let path = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Arc::from(path)
    };
    match page.get(start..start.checked_add(size)?) {
        Some(bytes) => Some(cut(bytes)),
        None => read_range(file, header.p_offset, size).map(|bytes| cut(&bytes)),
    }
}
