//! The cases, a file a group. A new one is an entry in its file's `CASES` and a function.

mod debian;
mod live;

use crate::case::Case;

/// Every case.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [live::CASES, debian::CASES].into_iter().flatten()
}
