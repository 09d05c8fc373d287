//! Reads the machine, what is on its disks, or a foreign root, and changes nothing.
//!
//! Parsers take bytes and are pure; readers are thin. What comes from a disk is hostile until
//! proven otherwise: lengths and counts are bounded, links are followed by [`crate::root`] only.

mod accounts;
pub mod arch;
pub mod block;
pub mod boot;
pub mod btrfs;
pub mod busy;
pub mod cmdline;
pub mod condition;
pub mod cpu;
pub mod crypttab;
pub mod features;
pub mod fstab;
pub mod health;
pub mod hibernate;
pub mod inventory;
pub mod kernel_log;
pub mod lastboot;
pub mod livemedium;
pub mod loops;
pub mod lvm;
pub mod md;
pub mod mountinfo;
pub mod network;
pub mod osrelease;
mod packages;
pub mod partitions;
pub mod peek;
pub mod roots;
pub mod scan;
pub mod superblock;
pub mod surroundings;
pub mod system;
pub mod target;
pub mod user_namespaces;
mod users;
pub mod view;

pub use accounts::{Accounts, Group, User, parse_group, parse_passwd};
pub use packages::{Lost, LostFiles, PackageError, PackageFiles, Packages, Record, System};
pub use users::{FileUser, users_of};
