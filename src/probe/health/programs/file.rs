//! One file: is it ELF, is it whole, would it start?

use super::fold::{Machine, Programs, Role, Who, Wrong};
use super::places::Places;
use crate::elf::{Closure, ElfError, Engine, Missing, Needer, ProgramKind};
use crate::model::{Kind, Meta, RootPath};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const HEADER: usize = 64;
/// Programs here are started at boot, though no PATH names the directory.
const STARTED_AT_BOOT: &[&str] = &[
    "/usr/lib/systemd",
    "/lib/systemd",
    "/usr/lib/udev",
    "/lib/udev",
];
/// More versions of one object are not listed.
const MOST_VERSIONS: usize = 6;

/// Looks at `path`, whose directory is `directory` (canonical), and adds what is wrong to `found`.
pub(super) fn look(
    engine: &mut Engine<'_>,
    places: &Places,
    directory: &RootPath,
    path: &RootPath,
    meta: &Meta,
    found: &mut Programs,
) {
    let in_path = places.path.contains(directory);
    let is_library = has_library_name(path);
    let executable = meta.mode & 0o111 != 0;
    if meta.kind != Kind::File || !(executable || is_library || in_path) {
        return;
    }
    let role = |program: bool| {
        let at_boot = || {
            STARTED_AT_BOOT
                .iter()
                .any(|base| path.starts_with(&RootPath::new(base)))
        };
        if program {
            Role::Program {
                common: in_path || at_boot(),
            }
        } else {
            Role::Library
        }
    };
    let header = match header(engine, path) {
        Ok(header) => header,
        Err(error) => return found.unread(path.as_bytes(), &error),
    };
    let who = Who {
        path: path.as_bytes().to_vec(),
        needed_by: None,
    };
    let mut damaged = |reason: String, machine, program| {
        let wrong = Wrong::Damaged {
            path: path.as_bytes().to_vec(),
            reason,
        };
        found.add(wrong, machine, role(program), who.clone());
    };
    if meta.size == 0 {
        // An empty file in a bin directory may be meant so; the package database knows, and is
        // asked by those who read this.
        if is_library || in_path {
            damaged("the file is empty".into(), Machine::default(), !is_library);
        }
        return;
    }
    if !header.starts_with(b"\x7fELF") {
        if is_library && is_zeroed(&header) {
            damaged("the file holds zeros".into(), Machine::default(), false);
        }
        return;
    }
    let Some(elf) = Head::read(&header) else {
        damaged(
            "its ELF header is cut off".into(),
            Machine::default(),
            !is_library,
        );
        return;
    };
    if !matches!(elf.kind, ET_EXEC | ET_DYN) {
        return;
    }
    if elf.end > meta.size {
        let reason = format!("it is cut off: {} bytes of {} at least", meta.size, elf.end);
        damaged(reason, elf.machine, !is_library);
        return;
    }
    if is_library && !places.searched.contains(directory) {
        // A plugin: see the module's rule.
        found.libraries += 1;
        return;
    }
    match engine.closure(path) {
        Ok(closure) => judge(&closure, elf.machine, places, directory, &role, found),
        Err(ElfError::Refused { reason, .. }) => {
            damaged(reason.to_string(), elf.machine, !is_library);
        }
        Err(ElfError::Open { source, .. }) => found.unread(path.as_bytes(), &source),
        // It was one a moment ago.
        Err(ElfError::NotAFile { .. }) => {}
    }
}

fn judge(
    closure: &Closure,
    machine: Machine,
    places: &Places,
    directory: &RootPath,
    role: &dyn Fn(bool) -> Role,
    found: &mut Programs,
) {
    let is_program = matches!(closure.kind, ProgramKind::Dynamic | ProgramKind::Static);
    if is_program {
        found.count(machine);
    } else {
        found.libraries += 1;
        if !places.searched.contains(directory) {
            return;
        }
    }
    let role = role(is_program);
    for missing in &closure.missing {
        let who = who(closure, missing.needed_by);
        found.add(wrong(closure, missing), machine, role, who);
    }
    for problem in &closure.versions {
        let provider = closure
            .objects
            .iter()
            .find(|object| *object.name == *problem.object)
            .map_or(problem.object.as_slice(), |object| object.path.as_bytes());
        let wrong = Wrong::Version {
            path: provider.to_vec(),
            versions: std::iter::once(problem.version.clone())
                .take(MOST_VERSIONS)
                .collect(),
        };
        found.add(wrong, machine, role, who(closure, problem.needed_by));
    }
}

fn wrong(closure: &Closure, missing: &Missing) -> Wrong {
    let loader = closure
        .interpreter
        .as_ref()
        .filter(|loader| !loader.present);
    if let Some(loader) = loader.filter(|it| it.path.as_bytes() == missing.name) {
        return Wrong::Loader {
            path: loader.path.as_bytes().to_vec(),
        };
    }
    match &missing.refused {
        Some((path, reason)) => Wrong::Refused {
            path: path.as_bytes().to_vec(),
            reason: reason.clone(),
        },
        None => Wrong::Library {
            name: missing.name.clone(),
        },
    }
}

fn who(closure: &Closure, needer: Needer) -> Who {
    let needed_by = match needer {
        Needer::Program => None,
        Needer::Object(index) => closure
            .objects
            .get(index)
            .map(|object| object.path.as_bytes().to_vec()),
        Needer::Preload => Some(b"/etc/ld.so.preload".to_vec()),
    };
    Who {
        path: closure.program.as_bytes().to_vec(),
        needed_by,
    }
}

/// `libx.so`, `libx.so.1.2`; not `x.socket`.
fn has_library_name(path: &RootPath) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    name.split_once(".so")
        .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('.') && ends_in_number(rest))
}

fn ends_in_number(rest: &str) -> bool {
    rest.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Whole pages of zeros are what a power cut leaves of a file that was just written.
fn is_zeroed(header: &[u8]) -> bool {
    !header.is_empty() && header.iter().all(|byte| *byte == 0)
}

fn header(engine: &Engine<'_>, path: &RootPath) -> std::io::Result<Vec<u8>> {
    let file = engine.tree().open(path)?;
    let mut bytes = vec![0; HEADER];
    let count = file.read_at(&mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// What the first bytes say.
struct Head {
    kind: u16,
    machine: Machine,
    /// How long the file is at least: the section headers are its last part.
    end: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let class = *bytes.get(4)?;
        let little = *bytes.get(5)? != 2;
        let half = |at: usize| {
            let raw: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
            Some(if little {
                u16::from_le_bytes(raw)
            } else {
                u16::from_be_bytes(raw)
            })
        };
        let word = |at: usize| {
            let raw: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(if little {
                u32::from_le_bytes(raw)
            } else {
                u32::from_be_bytes(raw)
            })
        };
        let long = |at: usize| {
            let (first, second) = (u64::from(word(at)?), u64::from(word(at + 4)?));
            Some(if little {
                first | second << 32
            } else {
                second | first << 32
            })
        };
        let (offset, size, count) = if class == 2 {
            (long(40)?, half(58)?, half(60)?)
        } else {
            (u64::from(word(32)?), half(46)?, half(48)?)
        };
        let table = u64::from(size).checked_mul(u64::from(count))?;
        Some(Self {
            kind: half(16)?,
            machine: Machine {
                class,
                machine: half(18)?,
            },
            end: if count == 0 {
                0
            } else {
                offset.checked_add(table)?
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_name() {
        let table = [
            ("/lib/libc.so.6", true),
            ("/lib/x/pam_unix.so", true),
            ("/lib/systemd/x.socket", false),
            ("/lib/ld-linux.so.2", true),
            ("/lib/libx.so.conf", false),
            ("/bin/sorter", false),
        ];
        for (name, wanted) in table {
            assert_eq!(has_library_name(&RootPath::new(name)), wanted, "{name}");
        }
    }

    #[test]
    fn a_cut_header_is_no_header() {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        assert!(Head::read(&bytes).is_none());
        bytes.resize(64, 0xff);
        assert!(
            Head::read(&bytes).is_none(),
            "the end of the file overflows"
        );
        bytes[40..64].fill(0);
        assert_eq!(Head::read(&bytes).map(|head| head.end), Some(0));
    }
}
