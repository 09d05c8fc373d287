//! The ELF engine against real loaders, hand-made trees and hostile files.

mod glibc;
mod lab;
mod musl;
mod rules;
mod truth;
mod writer;
