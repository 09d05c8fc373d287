//! The binary itself: one static file that runs where nothing else is.

use std::fs;
use std::path::PathBuf;

use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("binary::is_static_pie", &[], is_static_pie),
        Trial::new(
            "binary::runs_in_an_empty_root",
            &[Need::Command("chroot")],
            runs_in_an_empty_root,
        ),
    ]
}

fn binary() -> PathBuf {
    std::env::var_os("NEWROOT_BIN").unwrap().into()
}

fn is_static_pie() {
    let bytes = fs::read(binary()).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    assert_eq!(elf.header.e_type, goblin::elf::header::ET_DYN, "no PIE");
    assert_eq!(elf.interpreter, None);
    assert_eq!(elf.libraries, Vec::<&str>::new());
}

fn runs_in_an_empty_root() {
    let top = tempfile::tempdir().unwrap();
    fs::copy(binary(), top.path().join("newroot")).unwrap();
    let chroot = ["chroot", top.path().to_str().unwrap()];
    let version = format!("newroot {}\n", env!("CARGO_PKG_VERSION"));
    newroot(["--version"])
        .through(chroot)
        .program("/newroot")
        .run()
        .code(0)
        .stdout_is(&version)
        .stderr_is("");
}
