//! Which sub-directories a CPU takes.

use crate::model::Cpu;

/// The names of glibc-hwcaps subdirectories that this CPU takes, best first.
#[must_use]
pub(super) fn x86_levels(cpu: &Cpu) -> &'static [&'static str] {
    const LEVELS: [&str; 3] = ["x86-64-v4", "x86-64-v3", "x86-64-v2"];
    let skipped = 4_usize.saturating_sub(usize::from(cpu.x86_level)).min(3);
    LEVELS.get(skipped..).unwrap_or_default()
}
