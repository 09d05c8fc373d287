//! Reads the machine and what is on its disks. Changes nothing.
//!
//! Parsers take bytes and are pure; readers are thin. What comes from a disk is hostile until
//! proven otherwise: lengths and counts are bounded, links are followed by [`crate::root`] only.

pub mod block;
pub mod crypttab;
pub mod fstab;
pub mod mountinfo;
pub mod osrelease;
pub mod partitions;
pub mod superblock;
pub mod hibernate;
pub mod arch;
pub mod busy;
pub mod livemedium;
pub mod view;
pub mod peek;
pub mod loops;
pub mod btrfs;
pub mod lastboot;
pub mod boot;
pub mod roots;
