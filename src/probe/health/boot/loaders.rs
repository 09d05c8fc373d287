//! The sectors of a disk that firmware of a PC starts: the boot code and what it loads.

use std::path::Path;

use crate::sys::block;

/// What the first sectors of a disk hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sectors {
    /// The disk, as people call it.
    pub disk: String,
    /// GRUB's boot code stands in the first sector.
    pub grub: bool,
    /// Some boot code stands there (not zeros).
    pub any_code: bool,
    /// GRUB's boot code loads from this sector.
    pub core_at: Option<u64>,
    /// GRUB's second part stands there.
    pub core: bool,
}

const SECTOR: usize = 512;
/// Boot code ends where the disk signature begins.
const CODE: usize = 440;
/// `kernel_sector` in GRUB's boot.img.
const CORE_SECTOR: usize = 0x5c;

/// Reads the first sector of `device`, and the one that it loads.
///
/// # Errors
/// The errno of open(2) or pread(2).
pub fn read(name: &str, device: &Path) -> std::io::Result<Sectors> {
    let file = block::open(device).map_err(|error| std::io::Error::from(error.errno))?;
    let mut first = vec![0; SECTOR];
    rustix::io::pread(&file, &mut first, 0)?;
    let mut found = judge(&first);
    found.disk = name.to_string();
    if let Some(at) = found
        .core_at
        .and_then(|sector| sector.checked_mul(SECTOR as u64))
    {
        let mut core = vec![0; SECTOR];
        let count = rustix::io::pread(&file, &mut core, at).unwrap_or(0);
        found.core = count == SECTOR && is_core(&core);
    }
    Ok(found)
}

fn judge(first: &[u8]) -> Sectors {
    let code = first.get(..CODE).unwrap_or_default();
    let has = |text: &[u8]| code.windows(text.len()).any(|part| part == text);
    let grub = has(b"GRUB") && has(b"Geom");
    let at = code
        .get(CORE_SECTOR..CORE_SECTOR + 8)
        .and_then(|raw| raw.try_into().ok())
        .map(u64::from_le_bytes);
    Sectors {
        disk: String::new(),
        grub,
        any_code: code.iter().any(|byte| *byte != 0),
        core_at: at.filter(|_| grub),
        core: false,
    }
}

/// GRUB's diskboot.img prints `loading` before it loads the rest.
fn is_core(sector: &[u8]) -> bool {
    sector.windows(7).any(|part| part == b"loading")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_code_is_known() {
        let mut sector = vec![0; SECTOR];
        assert_eq!(judge(&sector), Sectors::default());
        sector[0x180..0x185].copy_from_slice(b"GRUB ");
        sector[0x188..0x18c].copy_from_slice(b"Geom");
        sector[CORE_SECTOR] = 34;
        let found = judge(&sector);
        assert!(found.grub && found.any_code);
        assert_eq!(found.core_at, Some(34));
    }
}
