//! Names as small numbers: a big program asks a thousand times whether a name is loaded, and
//! comparing numbers is what keeps that cheap.

use std::ops::Deref;
use std::sync::Arc;

use super::object::Object;
use crate::model::Map;

/// A name that was seen, the same number wherever it is seen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NameId(usize);

/// The numbers that were given out.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: Map<Arc<[u8]>, NameId>,
}

impl Names {
    /// The number of `name`, a new one the first time.
    pub(super) fn id(&mut self, name: &Arc<[u8]>) -> NameId {
        if let Some(known) = self.ids.get(name) {
            return *known;
        }
        let id = NameId(self.ids.len());
        self.ids.insert(Arc::clone(name), id);
        id
    }
}

/// An object with the numbers of its names.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) object: Arc<Object>,
    /// For each of `object.needs`.
    pub(super) needs_ids: Vec<NameId>,
    pub(super) soname_id: Option<NameId>,
}

impl Known {
    pub(super) fn new(object: Object, names: &mut Names) -> Self {
        Self {
            needs_ids: object
                .needs
                .iter()
                .map(|need| names.id(&need.name))
                .collect(),
            soname_id: object.soname.as_ref().map(|soname| names.id(soname)),
            object: Arc::new(object),
        }
    }
}

impl Deref for Known {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

/// A table from numbers to places that is emptied by counting up, not by writing.
#[derive(Debug, Default)]
pub(super) struct Places {
    round: u64,
    places: Vec<(u64, usize)>,
}

impl Places {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Where `id` was put, if it was.
    pub(super) fn get(&self, id: NameId) -> Option<usize> {
        let (round, place) = self.places.get(id.0)?;
        (*round == self.round).then_some(*place)
    }

    /// Puts `id` at `place`, unless it has one: the first to have a name keeps it.
    pub(super) fn put(&mut self, id: NameId, place: usize) {
        if self.places.len() <= id.0 {
            self.places.resize(id.0.saturating_add(64), (0, 0));
        }
        if let Some(entry) = self.places.get_mut(id.0)
            && entry.0 != self.round
        {
            *entry = (self.round, place);
        }
    }
}

/// A list indexed by numbers.
#[derive(Debug)]
pub(super) struct Table<T>(Vec<Option<T>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Table<T> {
    pub(super) fn get(&self, id: NameId) -> Option<&T> {
        self.0.get(id.0)?.as_ref()
    }

    pub(super) fn put(&mut self, id: NameId, value: T) {
        if self.0.len() <= id.0 {
            self.0.resize(id.0.saturating_add(64), None);
        }
        if let Some(entry) = self.0.get_mut(id.0) {
            *entry = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_have_a_name_keeps_it_until_the_next_round() {
        let mut names = Names::default();
        let one = names.id(&Arc::from(&b"libx.so"[..]));
        assert_eq!(names.id(&Arc::from(&b"libx.so"[..])), one);
        let mut places = Places::default();
        places.clear();
        assert_eq!(places.get(one), None);
        places.put(one, 3);
        places.put(one, 4);
        assert_eq!(places.get(one), Some(3));
        places.clear();
        assert_eq!(places.get(one), None);
    }
}
