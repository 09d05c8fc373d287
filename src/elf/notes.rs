//! `.note.dlopen`: what a program says it may load later (UAPI group, "ELF dlopen metadata").
//!
//! Found through PT_NOTE by owner and type, not by section name: stripped files keep them.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::rc::Rc;

use goblin::elf::header::EM_X86_64;
use goblin::elf::note::NoteDataIterator;
use serde_json::Value;

use super::answer::Finished;
use super::engine::Engine;
use super::object::{Object, Segment};
use super::read::read_up_to;
use super::types::{DlopenNote, Needer};
use super::walk::Loaded;
use crate::root::TreeFile;

const OWNER: &str = "FDO";
const KIND: u32 = 0x407c_0c0a;
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
/// The x86-64 level that every CPU has.
const BASELINE: u8 = 1;
/// A note segment is a few hundred bytes.
const MAX_NOTES: usize = 256 << 10;

/// What the notes of one object say.
#[derive(Debug, Default)]
pub(super) struct Notes {
    dlopen: Vec<DlopenNote>,
    level: u8,
}

/// Adds what the notes of every loaded object say.
pub(super) fn gather(engine: &mut Engine<'_>, finished: &mut Finished) {
    let mut best = BASELINE;
    for index in 0..finished.loaded.len() {
        let Some(it) = finished.loaded.get(index) else {
            break;
        };
        let notes = notes_of(engine, it);
        if notes.level > best {
            best = notes.level;
            finished.closure.level = Some((it.path.clone(), best));
        }
        let of = finished.needer(index);
        let with_needer = notes
            .dlopen
            .iter()
            .map(|note| DlopenNote { of, ..note.clone() });
        finished.closure.notes.extend(with_needer);
    }
}

fn notes_of(engine: &mut Engine<'_>, loaded: &Loaded) -> Rc<Notes> {
    if let Some(known) = engine.notes.get(&loaded.object.id) {
        return Rc::clone(known);
    }
    let notes = engine.tree.open(&loaded.path);
    let notes = Rc::new(notes.map_or_else(
        |_| Notes::default(),
        |file| read(&file, &[], &loaded.object),
    ));
    engine.notes.insert(loaded.object.id, Rc::clone(&notes));
    notes
}

/// The notes of one object. `page` is the beginning of the file, as much of it as was read
/// already: linkers put notes right behind the headers.
pub(super) fn read(file: &TreeFile, page: &[u8], object: &Object) -> Notes {
    let mut all = Notes::default();
    let has_level = object.target.machine == EM_X86_64;
    let mut visit = |owner: &str, kind, text: &[u8]| match (owner, kind) {
        (OWNER, KIND) => all.dlopen.extend(parse(text)),
        ("GNU", NT_GNU_PROPERTY_TYPE_0) if has_level => {
            all.level = all.level.max(level_needed(text));
        }
        _ => {}
    };
    for segment in &object.notes {
        let size = usize::try_from(segment.size)
            .unwrap_or(usize::MAX)
            .min(MAX_NOTES);
        let start = usize::try_from(segment.offset).unwrap_or(usize::MAX);
        match page.get(start..start.saturating_add(size)) {
            Some(bytes) => each_note(bytes, object, segment, &mut visit),
            None => {
                let bytes = read_up_to(file, segment.offset, size);
                each_note(&bytes, object, segment, &mut visit);
            }
        }
    }
    all
}

/// Shows owner, type and content of each note.
fn each_note(
    bytes: &[u8],
    object: &Object,
    segment: &Segment,
    visit: &mut dyn FnMut(&str, u32, &[u8]),
) {
    // goblin knows 4 (and less) and 8; the gABI has no other.
    let align = if segment.align == 8 { 8 } else { 4 };
    let notes = NoteDataIterator {
        data: bytes,
        size: bytes.len(),
        offset: 0,
        ctx: (align, object.target.ctx()),
    };
    for note in notes {
        let Ok(note) = note else { break };
        visit(note.name, note.n_type, note.desc);
    }
}

/// `GNU_PROPERTY_X86_ISA_1_NEEDED`: bit 0 is the baseline, bit 1 x86-64-v2 and so on.
fn level_needed(mut properties: &[u8]) -> u8 {
    const ISA_1_NEEDED: u32 = 0xc000_8002;
    let number = |bytes: &[u8]| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?))
    };
    while let (Some(kind), Some(size)) = (number(properties), properties.get(4..).and_then(number))
    {
        let Some(data) = properties.get(8..) else {
            break;
        };
        if kind == ISA_1_NEEDED {
            let bits = number(data).unwrap_or(0) & 0xf;
            return u8::try_from(u32::BITS.saturating_sub(bits.leading_zeros()))
                .unwrap_or(1)
                .max(1);
        }
        // Each is padded to eight bytes.
        let padded = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .checked_next_multiple_of(8);
        properties = padded
            .and_then(|padded| data.get(padded..))
            .unwrap_or_default();
    }
    1
}

/// Both shapes of the specification: one object, and an array of them.
fn parse(text: &[u8]) -> Vec<DlopenNote> {
    let end = text.iter().rposition(|byte| *byte != 0);
    let text = text
        .get(..end.map_or(0, |last| last.saturating_add(1)))
        .unwrap_or_default();
    let items = match serde_json::from_slice(text) {
        Ok(Value::Array(items)) => items,
        Ok(item @ Value::Object(_)) => vec![item],
        _ => return Vec::new(),
    };
    items.iter().filter_map(note).collect()
}

fn note(item: &Value) -> Option<DlopenNote> {
    let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_string);
    let sonames: Vec<String> = match item.get("soname")? {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many
            .iter()
            .filter_map(|one| one.as_str().map(str::to_string))
            .collect(),
        _ => return None,
    };
    (!sonames.is_empty()).then(|| DlopenNote {
        of: Needer::Program,
        sonames,
        feature: text("feature"),
        description: text("description"),
        priority: text("priority").unwrap_or_else(|| "recommended".to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_highest_bit_that_is_needed() {
        let property = |kind: u32, data: u32| {
            let words = [kind, 4, data, 0];
            words
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let needed = |bits| property(0xc000_8002, bits);
        for (bits, level) in [(0, 1), (1, 1), (3, 2), (4, 3), (7, 3), (0xf, 4), (0xf0, 1)] {
            assert_eq!(level_needed(&needed(bits)), level, "{bits:x}");
            let after_another = [property(0xc000_0002, 3), needed(bits)].concat();
            assert_eq!(level_needed(&after_another), level, "{bits:x}");
        }
        let mut cut = needed(4);
        cut.truncate(9);
        for broken in [Vec::new(), vec![2, 0x80], vec![0xff; 16], cut] {
            assert_eq!(level_needed(&broken), 1);
        }
    }

    #[test]
    fn both_shapes_are_read() {
        let array =
            br#"[{"soname":["libx.so.2","libx.so.1"],"feature":"x","priority":"required"}]"#;
        let notes = parse(array);
        assert_eq!(notes.len(), 1);
        let first = notes.first().unwrap();
        assert_eq!(first.sonames, ["libx.so.2", "libx.so.1"]);
        assert_eq!(first.priority, "required");
        let single = parse(b"{\"soname\":\"liby.so\"}\0\0");
        assert_eq!(single.first().unwrap().priority, "recommended");
        assert!(parse(b"[1, {\"soname\":[]}, {}]").is_empty());
        assert!(parse(b"not json").is_empty());
    }
}
