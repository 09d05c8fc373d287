//! The ELF engine against real loaders, hand-made trees and hostile files.

mod cache;
mod cli;
mod glibc;
mod hostile;
mod lab;
mod musl;
mod rules;
mod script;
mod truth;
mod writer;
