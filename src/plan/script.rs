//! A plan as a shell script that does the same when it is pasted.

use std::fmt::Write as _;

use super::{Op, ProcessOp, Step};

/// What ends the here-document that holds what happens inside the namespaces.
pub const SCRIPT_END: &str = "newroot";

/// The steps, a line or more each, in order.
#[must_use]
pub fn script(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        writeln!(text, "{step}").ok();
    }
    let inside = |step: &Step| matches!(step.op, Op::Process(ProcessOp::Namespaces { .. }));
    if steps.iter().any(inside) {
        writeln!(text, "{SCRIPT_END}").ok();
    }
    text
}
