//! A small ELF writer: files that no compiler makes, for any class, byte order and machine.

/// What to write. Everything lies in one PT_LOAD at address 0.
#[derive(Clone, Debug)]
pub(super) struct Elf {
    pub(super) class: u8,
    pub(super) little: bool,
    pub(super) machine: u16,
    pub(super) file_type: u16,
    interp: Option<String>,
    tags: Vec<(u64, Value)>,
    dynamic: bool,
    dynamic_bytes: bool,
    note: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Value {
    Number(u64),
    Text(Vec<u8>),
}

pub(super) const X86_64: u16 = 62;
pub(super) const AARCH64: u16 = 183;
pub(super) const RUNPATH: u64 = 29;
pub(super) const RPATH: u64 = 15;
pub(super) const NEEDED: u64 = 1;
pub(super) const SONAME: u64 = 14;
pub(super) const AUXILIARY: u64 = 0x7fff_fffd;
pub(super) const FILTER: u64 = 0x7fff_ffff;
pub(super) const FLAGS_1: u64 = 0x6fff_fffb;
const STRTAB: u64 = 5;

impl Elf {
    /// A 64-bit little-endian x86-64 shared object.
    pub(super) fn lib() -> Self {
        Self {
            class: 2,
            little: true,
            machine: X86_64,
            file_type: 3,
            interp: None,
            tags: Vec::new(),
            dynamic: true,
            dynamic_bytes: true,
            note: None,
        }
    }

    /// A position-independent program for glibc's loader.
    pub(super) fn prog() -> Self {
        Self::lib().interp("/lib64/ld-linux-x86-64.so.2")
    }

    pub(super) fn interp(mut self, path: &str) -> Self {
        self.interp = Some(path.to_string());
        self
    }

    pub(super) fn no_dynamic(mut self) -> Self {
        self.dynamic = false;
        self
    }

    /// PT_DYNAMIC without bytes in the file, as a separate debug file has it.
    pub(super) fn empty_dynamic(mut self) -> Self {
        self.dynamic_bytes = false;
        self
    }

    pub(super) fn text(mut self, tag: u64, text: impl AsRef<[u8]>) -> Self {
        self.tags.push((tag, Value::Text(text.as_ref().to_vec())));
        self
    }

    pub(super) fn number(mut self, tag: u64, value: u64) -> Self {
        self.tags.push((tag, Value::Number(value)));
        self
    }

    pub(super) fn needs(self, names: &[&str]) -> Self {
        names.iter().fold(self, |elf, name| elf.text(NEEDED, name))
    }

    pub(super) fn soname(self, name: &str) -> Self {
        self.text(SONAME, name)
    }

    /// A `.note.dlopen` with this JSON.
    pub(super) fn note(mut self, json: &str) -> Self {
        let mut note = Vec::new();
        let length = u32::try_from(json.len() + 1).unwrap();
        for word in [4, length, 0x407c_0c0a] {
            self.word(&mut note, u64::from(word), 4);
        }
        note.extend_from_slice(b"FDO\0");
        note.extend_from_slice(json.as_bytes());
        note.push(0);
        note.resize(note.len().next_multiple_of(4), 0);
        self.note = Some(note);
        self
    }

    fn word(&self, out: &mut Vec<u8>, value: u64, size: usize) {
        let bytes = value.to_le_bytes();
        let bytes = &bytes[..size];
        if self.little {
            out.extend_from_slice(bytes);
        } else {
            out.extend(bytes.iter().rev());
        }
    }

    /// A word of the file's own size.
    fn long(&self, out: &mut Vec<u8>, value: u64) {
        self.word(out, value, if self.class == 1 { 4 } else { 8 });
    }

    /// The bytes.
    pub(super) fn build(&self) -> Vec<u8> {
        let (header, entry) = if self.class == 1 { (52, 32) } else { (64, 56) };
        let word = if self.class == 1 { 4 } else { 8 };
        let count = 1
            + usize::from(self.interp.is_some())
            + usize::from(self.dynamic)
            + usize::from(self.note.is_some());
        let interp_at = header + entry * count;
        let interp = self.interp.clone().unwrap_or_default() + "\0";
        let note_at = (interp_at + interp.len()).next_multiple_of(8);
        let note = self.note.clone().unwrap_or_default();
        let dynamic_at = (note_at + note.len()).next_multiple_of(8);
        let dynamic_size = (self.tags.len() + 2) * 2 * word;
        let strings_at = dynamic_at + dynamic_size;

        let mut strings = vec![0];
        let mut dynamic = Vec::new();
        self.long(&mut dynamic, STRTAB);
        self.long(&mut dynamic, strings_at as u64);
        for (tag, value) in &self.tags {
            self.long(&mut dynamic, *tag);
            match value {
                Value::Number(number) => self.long(&mut dynamic, *number),
                Value::Text(text) => {
                    self.long(&mut dynamic, strings.len() as u64);
                    strings.extend_from_slice(text);
                    strings.push(0);
                }
            }
        }
        self.long(&mut dynamic, 0);
        self.long(&mut dynamic, 0);
        let size = strings_at + strings.len();

        let mut out = self.header(count);
        let mut segment = |kind: u64, at: usize, length: usize| {
            self.segment(&mut out, kind, at as u64, length as u64);
        };
        segment(1, 0, size);
        if self.interp.is_some() {
            segment(3, interp_at, interp.len());
        }
        if self.dynamic {
            segment(
                2,
                dynamic_at,
                if self.dynamic_bytes { dynamic_size } else { 0 },
            );
        }
        if self.note.is_some() {
            segment(4, note_at, note.len());
        }
        out.extend_from_slice(interp.as_bytes());
        out.resize(note_at, 0);
        out.extend_from_slice(&note);
        out.resize(dynamic_at, 0);
        out.extend_from_slice(&dynamic);
        out.extend_from_slice(&strings);
        out
    }

    fn header(&self, count: usize) -> Vec<u8> {
        let order = if self.little { 1 } else { 2 };
        let mut out = vec![0x7f, b'E', b'L', b'F', self.class, order, 1];
        out.resize(16, 0);
        self.word(&mut out, u64::from(self.file_type), 2);
        self.word(&mut out, u64::from(self.machine), 2);
        self.word(&mut out, 1, 4);
        let (header, entry) = if self.class == 1 { (52, 32) } else { (64, 56) };
        self.long(&mut out, 0);
        self.long(&mut out, header);
        self.long(&mut out, 0);
        self.word(&mut out, 0, 4);
        for half in [header, entry, count as u64, 0, 0, 0] {
            self.word(&mut out, half, 2);
        }
        out
    }

    fn segment(&self, out: &mut Vec<u8>, kind: u64, at: u64, size: u64) {
        self.word(out, kind, 4);
        if self.class == 2 {
            self.word(out, 4, 4);
        }
        for value in [at, at, at, size, size] {
            self.long(out, value);
        }
        if self.class == 1 {
            self.word(out, 4, 4);
        }
        self.long(out, if kind == 1 { 4096 } else { 4 });
    }
}

/// A loader for glibc programs on x86-64, with the directories of Debian.
pub(super) fn loader() -> Vec<u8> {
    let mut bytes = Elf::lib().soname("ld-linux-x86-64.so.2").build();
    let strings = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\
        lib/x86_64-linux-gnu\0ld.so (test) stable release version 2.40.\0";
    grow(&mut bytes, strings);
    bytes
}

/// Appends bytes and makes the PT_LOAD of a 64-bit little-endian file cover them.
fn grow(bytes: &mut Vec<u8>, more: &[u8]) {
    bytes.extend_from_slice(more);
    let size = (bytes.len() as u64).to_le_bytes();
    bytes[64 + 32..64 + 40].copy_from_slice(&size);
    bytes[64 + 40..64 + 48].copy_from_slice(&size);
}

/// One entry of an ld.so.cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) flags: u32,
    /// A glibc-hwcaps level.
    pub(super) level: Option<&'static str>,
    /// The ISA level that the file asks for.
    pub(super) isa: u32,
}

impl Entry {
    /// A plain entry for x86-64.
    pub(super) fn plain(name: &'static str, path: &'static str) -> Self {
        Self {
            name,
            path,
            flags: 0x0303,
            level: None,
            isa: 0,
        }
    }
}

/// A cache in today's format. `entries` must be in the loader's order, descending.
pub(super) fn cache(entries: &[Entry]) -> Vec<u8> {
    let mut levels: Vec<&str> = entries.iter().filter_map(|entry| entry.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let mut out = b"glibc-ld.so.cache1.1".to_vec();
    let word = |out: &mut Vec<u8>, value: usize| {
        out.extend_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    };
    let strings_at = 48 + entries.len() * 24;
    let mut strings: Vec<u8> = Vec::new();
    let mut string = |text: &str| {
        let at = strings_at + strings.len();
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let names: Vec<(usize, usize)> = entries
        .iter()
        .map(|entry| (string(entry.name), string(entry.path)))
        .collect();
    let level_names: Vec<usize> = levels.iter().map(|level| string(level)).collect();
    strings.resize(strings.len().next_multiple_of(4), 0);
    word(&mut out, entries.len());
    word(&mut out, strings.len());
    word(&mut out, 2);
    word(&mut out, strings_at + strings.len());
    out.resize(48, 0);
    for (entry, (name, path)) in entries.iter().zip(names) {
        word(&mut out, entry.flags as usize);
        word(&mut out, name);
        word(&mut out, path);
        word(&mut out, 0);
        let index = entry
            .level
            .and_then(|level| levels.iter().position(|it| *it == level));
        match index {
            Some(index) => {
                word(&mut out, index);
                word(&mut out, (1 << 30) | entry.isa as usize);
            }
            None => out.extend_from_slice(&[0; 8]),
        }
    }
    out.extend_from_slice(&strings);
    let extension_at = out.len();
    for value in [
        0xeaa4_2174,
        1,
        1,
        0,
        extension_at + 24,
        level_names.len() * 4,
    ] {
        word(&mut out, value);
    }
    for at in level_names {
        word(&mut out, at);
    }
    out
}
