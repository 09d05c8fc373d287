//! How the program is linked: see start.ld beside this file.
//!
//! For the release binary only: tests start too, but nobody waits for them.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=src/link");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_linux_gnu = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if !is_release || !is_linux_gnu {
        return;
    }
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| String::from("."));
    // Relative relocations as a bitmap: 1 KiB to read at start instead of 100.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{here}/src/link/start.ld");
}
