//! What this live system and its kernel can and cannot do. Nothing is changed by looking: no
//! module is loaded, nothing is mounted.
//!
//! Abilities are tried, or read from where the kernel itself lists them; a version says nothing.

mod drivers;
mod kernel;
mod modules;
mod tools;
mod tried;

pub use kernel::kernel;
pub use tools::{Family, Tool, family, tools};
pub use tried::{Tried, UserNamespace, tried};

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Yes,
    /// A kernel module has it, which is not loaded yet and will be when it is needed.
    Loadable,
    /// It is not.
    No,
    /// It cannot be found out without changing something.
    Unknown,
}

impl State {
    /// The word for tables and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Loadable => "loadable",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One ability of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// "user namespaces"
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What was seen; may be empty.
    pub detail: String,
    /// What of newroot does not work without it, or works otherwise.
    pub without: &'static str,
    /// The command that brings it, where one is known.
    pub cure: Option<String>,
}
