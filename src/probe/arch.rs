//! Which machine a program is for: the few bytes of an ELF header that say so.

use crate::model::RootPath;
use crate::root::{Tree, TreeFile};

/// Programs that every system has some of; the first that is ELF decides.
const PROGRAMS: &[&str] = &[
    "/bin/bash",
    "/bin/sh",
    "/bin/ls",
    "/bin/echo",
    "/usr/bin/rm",
    "/sbin/init",
    "/usr/lib/systemd/systemd",
    "/run/current-system/sw/bin/bash",
];

/// The architecture of a root, in Debian's words ("amd64"); `None` when nothing in it says.
#[must_use]
pub fn of_root(tree: &dyn Tree) -> Option<&'static str> {
    PROGRAMS.iter().find_map(|program| {
        let file = tree.open(&RootPath::new(program)).ok()?;
        of_file(&file)
    })
}

/// The architecture of one program.
#[must_use]
pub fn of_file(file: &TreeFile) -> Option<&'static str> {
    if file.meta().ok()?.kind != crate::model::Kind::File {
        return None;
    }
    let mut header = [0; 64];
    let count = file.read_at(&mut header, 0).ok()?;
    of_header(&header[..count])
}

/// The architecture that an ELF header names (`e_machine`, with class, byte order and flags).
#[must_use]
pub fn of_header(header: &[u8]) -> Option<&'static str> {
    if header.len() < 52 || !header.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = header[4] == 2;
    let little = header[5] == 1;
    let pair = [header[18], header[19]];
    let machine = if little {
        u16::from_le_bytes(pair)
    } else {
        u16::from_be_bytes(pair)
    };
    // The hard-float ABI of 32-bit ARM is in e_flags (EF_ARM_ABI_FLOAT_HARD, 0x400).
    let hard_float = little && header[37] & 0x04 != 0;
    Some(match (machine, wide, little) {
        (62, true, true) => "amd64",
        (62, false, true) => "x32",
        (3, false, true) => "i386",
        (183, true, true) => "arm64",
        (40, false, true) if hard_float => "armhf",
        (40, false, true) => "armel",
        (243, true, true) => "riscv64",
        (243, false, true) => "riscv32",
        (258, true, true) => "loong64",
        (21, true, true) => "ppc64el",
        (21, true, false) => "ppc64",
        (20, false, false) => "powerpc",
        (22, true, false) => "s390x",
        (8, true, true) => "mips64el",
        (8, false, true) => "mipsel",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn header(machine: u8, wide: bool) -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = if wide { 2 } else { 1 };
        header[5] = 1;
        header[18] = machine;
        header
    }

    #[test]
    fn the_first_program_that_is_elf_decides() {
        let tree = Mem::new()
            .with_file("/usr/bin/bash", "#!/bin/x")
            .with_link("/bin", "usr/bin")
            .with_file("/usr/bin/ls", header(183, true));
        assert_eq!(of_root(&tree), Some("arm64"));
        assert_eq!(of_header(&header(62, true)), Some("amd64"));
        assert_eq!(of_header(&header(3, false)), Some("i386"));
        assert_eq!(of_header(b"\x7fELF"), None);
    }
}
