//! What every unprivileged test stands on: running the binary, and naming what is missing.
//!
//! `tests/root` includes `run.rs` and `need.rs` too, so nothing here may know this test binary.

pub(crate) mod need;
pub(crate) mod run;

pub(crate) use need::Need;
pub(crate) use run::newroot;

use need::{must_run, report_skip};

/// Whether the caller can go on; a test starts with `if !need(&[…]) { return; }`.
pub(crate) fn need(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
    if missing.is_empty() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("?").to_string();
    let why = missing.join(", ");
    assert!(!must_run(), "{why}, and NEWROOT_MUST_RUN is set");
    report_skip(&test, &why);
    false
}
