//! `.note.dlopen`: what a program says it may load later (UAPI group, "ELF dlopen metadata").
//!
//! Found through PT_NOTE by owner and type, not by section name: stripped files keep them.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::rc::Rc;

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
/// A note segment is a few hundred bytes.
const MAX_NOTES: usize = 256 << 10;

/// The notes of every loaded object.
pub(super) fn gather(engine: &mut Engine<'_>, finished: &Finished) -> Vec<DlopenNote> {
    let mut all = Vec::new();
    for (index, it) in finished.loaded.iter().enumerate() {
        let notes = notes_of(engine, it);
        all.extend(notes.iter().map(|note| DlopenNote {
            of: finished.needer(index),
            ..note.clone()
        }));
    }
    all
}

fn notes_of(engine: &mut Engine<'_>, loaded: &Loaded) -> Rc<[DlopenNote]> {
    if let Some(known) = engine.notes.get(&loaded.object.id) {
        return Rc::clone(known);
    }
    let notes: Rc<[DlopenNote]> = match engine.tree.open(&loaded.path) {
        Ok(file) => read(&file, &loaded.object).into(),
        Err(_) => Rc::default(),
    };
    engine.notes.insert(loaded.object.id, Rc::clone(&notes));
    notes
}

/// The notes of one object.
#[must_use]
pub fn read(file: &TreeFile, object: &Object) -> Vec<DlopenNote> {
    let mut all = Vec::new();
    for segment in &object.notes {
        all.extend(read_segment(file, object, segment));
    }
    all
}

fn read_segment(file: &TreeFile, object: &Object, segment: &Segment) -> Vec<DlopenNote> {
    let size = usize::try_from(segment.size)
        .unwrap_or(usize::MAX)
        .min(MAX_NOTES);
    let bytes = read_up_to(file, segment.offset, size);
    // goblin knows 4 (and less) and 8; the gABI has no other.
    let align = if segment.align == 8 { 8 } else { 4 };
    let notes = NoteDataIterator {
        data: &bytes,
        size: bytes.len(),
        offset: 0,
        ctx: (align, object.target.ctx()),
    };
    let mut all = Vec::new();
    for note in notes {
        let Ok(note) = note else { break };
        if note.n_type == KIND && note.name == OWNER {
            all.extend(parse(note.desc));
        }
    }
    all
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
