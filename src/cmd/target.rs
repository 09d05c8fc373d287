//! TARGET, as every verb of the rescue side takes it, and the failures on the way to it.

use crate::error::Failure;
use crate::probe::peek::PeekError;
use crate::probe::scan::ScanError;
use crate::tool::ToolError;

/// A scan that could not be made.
pub(super) fn scan_failure(error: &ScanError) -> Failure {
    let what = "cannot look for installed systems";
    match error {
        ScanError::Tool(ToolError::Missing { program, package }) => {
            Failure::new(what, format!("{program} is not installed"))
                .hint("the package that brings it", *package)
        }
        ScanError::Open { path, source } => Failure::new(
            format!("cannot look at {}", path.display()),
            crate::sys::describe(source.errno),
        )
        .detail(format!("({source})")),
        _ => Failure::new(what, error.to_string()),
    }
}

/// A look that is still open after it was closed: nothing may be mounted read-write now.
pub(super) fn left_open(left: &[PeekError]) -> Failure {
    let failure = Failure::new("the scan did not close what it looked at", "");
    left.iter()
        .fold(failure, |failure, error| failure.detail(error.to_string()))
}
