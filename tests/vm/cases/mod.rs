//! The cases, a file a group. A new one is an entry in its file's `CASES` and a function.

mod cgroup;
mod debian;
mod doctor;
mod enter;
mod live;
mod open;
mod scan;
mod storage;

use crate::case::Case;

/// Every case.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    let groups = [
        live::CASES,
        cgroup::CASES,
        storage::CASES,
        enter::CASES,
        open::CASES,
        scan::CASES,
        doctor::CASES,
        debian::CASES,
    ];
    groups.into_iter().flatten()
}
