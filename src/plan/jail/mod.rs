//! What goes into a jail, decided from facts: every path once, in an order that works.
//!
//! [`wanted()`] turns what was found in the `--from` root and what newroot makes itself into one
//! map by path; [`build()`] turns that map into steps for a new jail, [`update()`] into the steps that
//! bring an existing one up to date, [`compare()`] says how a jail differs from its manifest.

mod base;
mod build;
mod compare;
mod facts;
mod half;
mod update;
mod wanted;

pub use base::{Surroundings, base};
pub use build::{JailPlan, build};
pub use compare::{Actual, Change, Difference, compare};
pub use facts::{Choices, Facts, Found, Made, MadeWhat, What};
pub use half::{UNFINISHED, half_made};
pub use update::{Kept, Update, update};
pub use wanted::{Wanted, wanted};
