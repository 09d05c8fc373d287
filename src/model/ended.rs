//! How a process ended.

use serde::{Deserialize, Serialize};

/// The end of a process, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It called exit(2) with this status.
    Exited(u8),
    /// A signal of this number ended it.
    Signaled(u8),
}

impl Ended {
    /// As a shell counts: the status, or 128+n.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Signaled(signal) => 128_u8.saturating_add(signal),
        }
    }
}
