//! The facts that `doctor` judges: what stands in a root, gathered without changing anything.
//!
//! Readers are thin and take a [`Tree`](crate::root::Tree); parsers are pure. Nothing here says
//! whether a fact is good or bad: that is `doctor`'s business.

pub mod programs;
pub mod accounts;
mod aside;
pub mod boot;
pub mod layout;
mod pam;
mod sudoers;
pub mod journal;
