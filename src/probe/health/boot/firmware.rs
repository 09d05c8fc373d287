//! What UEFI firmware starts: programs on an ESP, the entries it remembers, Secure Boot.

use crate::model::RootPath;
use crate::root::{self, Tree};

/// A program on the ESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EfiProgram {
    /// Its path on the ESP, `/EFI/debian/grubx64.efi`.
    pub path: String,
    /// It is a PE file.
    pub whole: bool,
    /// It carries a signature.
    pub signed: bool,
}

/// An ESP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareFacts {
    /// Where it is seen: `/boot/efi`, or its volume's name.
    pub esp: Option<String>,
    /// Boot loader programs, bounded.
    pub programs: Vec<EfiProgram>,
    /// Stub configurations of GRUB: path on the ESP, line, the UUID they look for.
    pub stubs: Vec<(String, usize, String)>,
}

/// An entry of the firmware's boot menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEntry {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub label: String,
    /// PARTUUID of the partition, lower case.
    pub partition: Option<String>,
    /// The program, with slashes.
    pub file: Option<String>,
    /// It takes part.
    pub active: bool,
}

/// What firmware remembers of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nvram {
    /// Entries, in the order they are tried.
    pub entries: Vec<BootEntry>,
    /// Secure Boot is on.
    pub secure_boot: bool,
}

const MOST_PROGRAMS: usize = 64;
/// Stubs are three lines.
const STUB: usize = 64 << 10;

/// Looks where an ESP is usually mounted.
#[must_use]
pub fn on_esp(tree: &dyn Tree) -> FirmwareFacts {
    for base in ["/boot/efi", "/efi", "/boot"] {
        let place = RootPath::new(base);
        let efi = ["EFI", "efi"]
            .iter()
            .map(|name| place.join(name))
            .find(|path| tree.list(path).is_ok_and(|names| !names.is_empty()));
        if let Some(efi) = efi {
            let mut facts = below(tree, &efi);
            facts.esp = Some(base.to_string());
            return facts;
        }
    }
    FirmwareFacts::default()
}

/// The programs in the directory `EFI` of an ESP that is the whole of `tree`.
#[must_use]
pub fn of_volume(tree: &dyn Tree, name: &str) -> FirmwareFacts {
    let mut facts = below(tree, &RootPath::new("/EFI"));
    facts.esp = Some(name.to_string());
    facts
}

fn below(tree: &dyn Tree, efi: &RootPath) -> FirmwareFacts {
    let mut facts = FirmwareFacts::default();
    for vendor in tree.list(efi).unwrap_or_default() {
        let directory = efi.join(&vendor);
        for name in tree.list(&directory).unwrap_or_default() {
            let (path, text) = (directory.join(&name), name.to_string_lossy().to_lowercase());
            let shown = format!(
                "/EFI/{}/{}",
                vendor.to_string_lossy(),
                name.to_string_lossy()
            );
            if text.ends_with(".efi") && facts.programs.len() < MOST_PROGRAMS {
                let (whole, signed) = pe(tree, &path);
                facts.programs.push(EfiProgram {
                    path: shown,
                    whole,
                    signed,
                });
            } else if text == "grub.cfg" {
                let bytes = root::read(tree, &path, STUB).unwrap_or_default();
                let config = super::grubcfg::parse(&path, &String::from_utf8_lossy(&bytes));
                facts.stubs.extend(
                    config
                        .searches
                        .into_iter()
                        .map(|(line, uuid)| (shown.clone(), line, uuid)),
                );
            }
        }
    }
    facts
}

/// `(is a PE file, has a certificate table)`.
fn pe(tree: &dyn Tree, path: &RootPath) -> (bool, bool) {
    let Ok(file) = tree.open(path) else {
        return (false, false);
    };
    let mut head = vec![0; 4096];
    let count = file.read_at(&mut head, 0).unwrap_or(0);
    head.truncate(count);
    let word = |at: usize| {
        let raw: Option<[u8; 4]> = head.get(at..at + 4).and_then(|raw| raw.try_into().ok());
        raw.map(u32::from_le_bytes)
    };
    if !head.starts_with(b"MZ") {
        return (false, false);
    }
    let Some(at) = word(0x3c).map(|at| at as usize).filter(|at| *at < 4000) else {
        return (false, false);
    };
    if head.get(at..at + 4) != Some(b"PE\0\0") {
        return (false, false);
    }
    // The optional header begins after 24 bytes; its directories after 112 bytes of it in PE32+,
    // 96 in PE32. The fifth directory is the certificate table.
    let plus = head.get(at + 24..at + 26) == Some(&[0x0b, 0x02]);
    let table = at + 24 + if plus { 112 } else { 96 } + 4 * 8;
    (true, word(table + 4).is_some_and(|size| size > 0))
}

const VARIABLES: &str = "/sys/firmware/efi/efivars";
/// Longer ones are no boot entries.
const LONGEST_VARIABLE: usize = 64 << 10;
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Reads the variables of the machine whose root `host` is; `None` where it was not booted by UEFI.
#[must_use]
pub fn nvram(host: &dyn Tree) -> Option<Nvram> {
    let variable = |name: &str| {
        let path = RootPath::new(VARIABLES).join(format!("{name}-{GLOBAL}"));
        // The first four bytes are the variable's attributes.
        let bytes = root::read(host, &path, LONGEST_VARIABLE).ok()?;
        bytes.get(4..).map(<[u8]>::to_vec)
    };
    let order = variable("BootOrder")?;
    let entries = order.chunks_exact(2).take(256).filter_map(|raw| {
        let number = u16::from_le_bytes([raw[0], raw[1]]);
        entry(number, &variable(&format!("Boot{number:04X}"))?)
    });
    Some(Nvram {
        entries: entries.collect(),
        secure_boot: variable("SecureBoot").is_some_and(|value| value.first() == Some(&1)),
    })
}

/// EFI_LOAD_OPTION: attributes, length of the device path, label, device path.
fn entry(number: u16, bytes: &[u8]) -> Option<BootEntry> {
    let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?));
    let (label, used) = utf16(bytes.get(6..)?);
    let start = 6 + used;
    let mut path = bytes.get(start..start.checked_add(length)?)?;
    let mut found = BootEntry {
        number,
        label,
        partition: None,
        file: None,
        active: attributes & 1 != 0,
    };
    while let Some((&[kind, subtype, low, high], _)) = path.split_first_chunk::<4>() {
        let size = usize::from(u16::from_le_bytes([low, high]));
        if size < 4 || kind == 0x7f {
            break;
        }
        let body = path.get(4..size)?;
        match (kind, subtype) {
            // A partition of a disk, its GUID at 20.
            (4, 1) => found.partition = body.get(20..36).map(guid),
            (4, 4) => found.file = Some(utf16(body).0.replace('\\', "/")),
            _ => {}
        }
        path = path.get(size..)?;
    }
    Some(found)
}

/// Text up to its NUL, and how many bytes it took.
fn utf16(bytes: &[u8]) -> (String, usize) {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|raw| u16::from_le_bytes([raw[0], raw[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    (String::from_utf16_lossy(&units), (units.len() + 1) * 2)
}

/// The first three fields of a GUID are little-endian.
fn guid(raw: &[u8]) -> String {
    let hex = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    [
        hex(&mut raw[..4].iter().rev()),
        hex(&mut raw[4..6].iter().rev()),
        hex(&mut raw[6..8].iter().rev()),
        hex(&mut raw[8..10].iter()),
        hex(&mut raw[10..16].iter()),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_entry_is_read() {
        let text = |text: &str| -> Vec<u8> {
            text.encode_utf16()
                .chain([0])
                .flat_map(u16::to_le_bytes)
                .collect()
        };
        let mut partition = vec![4, 1, 42, 0];
        partition.extend([0; 20]);
        partition.extend(0..16);
        partition.extend([2, 2]);
        let name = text("\\EFI\\debian\\shimx64.efi");
        let mut path = partition;
        path.extend([4, 4, u8::try_from(name.len() + 4).unwrap(), 0]);
        path.extend(name);
        path.extend([0x7f, 0xff, 4, 0]);
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        bytes.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        bytes.extend(text("debian"));
        bytes.extend(path);
        let entry = entry(3, &bytes).unwrap();
        assert_eq!(entry.label, "debian");
        assert_eq!(entry.file.as_deref(), Some("/EFI/debian/shimx64.efi"));
        let guid = entry.partition.unwrap();
        assert_eq!(guid, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert!(super::entry(3, &bytes[..20]).is_none());
    }
}
