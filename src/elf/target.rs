//! What a file is for, and what is wrong with it, by the first bytes.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::program_header::{program_header32, program_header64};
use scroll::Pread;

/// What decides whether two ELF files can live in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `EI_CLASS`: 1 for 32 bit, 2 for 64 bit.
    pub class: u8,
    /// Whether the data is little-endian.
    pub little: bool,
    /// `e_machine`.
    pub machine: u16,
}

impl Target {
    /// What goblin's readers want to know.
    #[must_use]
    pub fn ctx(self) -> Ctx {
        let container = if self.class == 1 {
            Container::Little
        } else {
            Container::Big
        };
        let endian = if self.little {
            Endian::Little
        } else {
            Endian::Big
        };
        Ctx::new(container, endian)
    }
}

/// A file that is no usable ELF object, with what was still recognised: a loader skips a file
/// for another class or machine, and stops at one that it cannot understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the file begins with the ELF magic.
    pub elf: bool,
    /// `EI_CLASS`, when the header was that long.
    pub class: Option<u8>,
    /// Class, byte order and machine, when the header was whole.
    pub target: Option<Target>,
    /// What the loader says of it.
    pub reason: &'static str,
}

impl Refusal {
    pub(super) fn new(reason: &'static str) -> Self {
        Self {
            elf: false,
            class: None,
            target: None,
            reason,
        }
    }
}

/// Size of a program header.
pub(super) fn entry_size(target: Target) -> usize {
    if target.class == 1 {
        program_header32::SIZEOF_PHDR
    } else {
        program_header64::SIZEOF_PHDR
    }
}

/// The checks on `e_ident`, in the loader's order.
pub(super) fn identify(page: &[u8]) -> Result<(Target, Option<&'static str>), Refusal> {
    let Some(ident) = page.get(..16).filter(|_| page.len() >= 52) else {
        let mut refusal = Refusal::new("file too short");
        refusal.elf = page.starts_with(b"\x7fELF");
        return Err(refusal);
    };
    let [
        0x7f,
        b'E',
        b'L',
        b'F',
        class,
        data,
        version,
        abi,
        abi_version,
        padding @ ..,
    ] = ident
    else {
        return Err(Refusal::new("invalid ELF header"));
    };
    let mut refusal = Refusal {
        elf: true,
        class: Some(*class),
        target: None,
        reason: "file too short",
    };
    if *class == 2 && page.len() < 64 {
        return Err(refusal);
    }
    if !matches!(class, 1 | 2) {
        refusal.reason = "wrong ELF class";
        return Err(refusal);
    }
    let little = match data {
        1 => true,
        2 => false,
        _ => {
            refusal.reason = "ELF file data encoding is unknown";
            return Err(refusal);
        }
    };
    let order = if little { Endian::Little } else { Endian::Big };
    let machine = page.pread_with::<u16>(18, order).unwrap_or(0);
    let fault = if *version != 1 {
        Some("ELF file version ident does not match current one")
    } else if !matches!(abi, 0 | 3) {
        Some("ELF file OS ABI invalid")
    } else if *abi == 0 && *abi_version != 0 {
        Some("ELF file ABI version invalid")
    } else if padding.iter().any(|byte| *byte != 0) {
        Some("nonzero padding in e_ident")
    } else {
        None
    };
    let target = Target {
        class: *class,
        little,
        machine,
    };
    Ok((target, fault))
}
