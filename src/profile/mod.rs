//! TOML profiles: what a jail is made from besides the programs named on the command line.
//!
//! Parsing is pure over `&str`, with errors that name file, line and column and the nearest
//! known key. The shipped profiles are embedded from `profiles/`.

mod model;

pub use model::{Bind, Directory, Link, Profile};
