//! TOML profiles: what a jail is made from besides the programs named on the command line.
//!
//! Parsing is pure over `&str`, with errors that name file, line and column and the nearest
//! known key. The shipped profiles are embedded from `profiles/`. Files are read through a
//! [`crate::root::Tree`]; the environment comes in as data.

mod bind;
mod builtin;
mod check;
mod error;
mod glob;
mod load;
mod merge;
mod model;
mod nearest;
mod parse;
mod render;

pub use bind::BindError;
pub use error::ParseError;
pub use glob::{GlobError, Pattern};
pub use load::{Library, LoadError, Origin, Source};
pub use model::{Bind, Directory, Link, Profile};
pub use nearest::nearest;
pub use parse::{known_keys, parse};
