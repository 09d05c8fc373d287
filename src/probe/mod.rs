//! Reads the machine, or a foreign root, and changes nothing.
//!
//! Parsers are pure over bytes and survive hostile input; what they read comes through a
//! [`crate::root::Tree`].

mod accounts;
pub mod cpu;
mod packages;
pub mod user_namespaces;
mod users;

pub use accounts::{Accounts, Group, User, parse_group, parse_passwd};
pub use packages::{PackageError, PackageFiles, Packages, System};
pub use users::{FileUser, users_of};
