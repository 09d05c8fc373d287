//! The entry: everything else is in the library, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    newroot::run(std::env::args_os())
}
