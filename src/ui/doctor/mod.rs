//! What `doctor` shows: screens.md, screen 4, and the same for programs.
//!
//! Pure: findings become text. Everything that comes from a disk is escaped here.

mod json;
mod text;

pub use json::json;
pub use text::text;

use std::ffi::OsStr;

use crate::doctor::Report;
use crate::probe::inventory::Inventory;
use crate::probe::system::System;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'s> {
    /// The system.
    pub system: &'s System,
    /// The devices of this machine.
    pub inventory: &'s Inventory,
    /// What the doctor says.
    pub report: &'s Report,
    /// As it was typed.
    pub target: Option<&'s OsStr>,
    /// How long it took.
    pub seconds: f64,
    /// Notes as well.
    pub verbose: bool,
    /// Programs were left out.
    pub quick: bool,
}
