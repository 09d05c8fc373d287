//! Tests that need no privilege, one binary.

mod layers;
