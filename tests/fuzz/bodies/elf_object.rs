//! An ELF file as a program, as a library, as the loader and as what env starts: an answer or a
//! refusal, and never more objects than there are files.

use newroot::elf::{Engine, Options, symbols};
use newroot::model::{Cpu, RootPath};
use newroot::root::{Mem, Tree};

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let tree = Mem::new()
        .with_file("/usr/bin/p", data)
        .with_file("/lib64/ld-linux-x86-64.so.2", data)
        .with_file("/lib/ld-musl-x86_64.so.1", data)
        .with_file("/usr/lib/libx.so", data)
        .with_hard_link("/usr/lib/liby.so", "/usr/lib/libx.so")
        .with_file("/s", "#!/usr/bin/p\n")
        .with_dir("/usr/lib/glibc-hwcaps/x86-64-v3")
        .with_dir("/usr/lib/tls");
    let options = Options {
        cpu: || Cpu {
            x86_level: 3,
            x86_platform: Some("haswell"),
            x86_avx512_1: true,
        },
        versions: true,
        notes: true,
        variants: true,
        library_path: b"$ORIGIN/x:/usr/lib".to_vec(),
        preload: b"libx.so".to_vec(),
        ..Options::default()
    };
    let mut engine = Engine::with_options(&tree, options);
    for program in ["/usr/bin/p", "/usr/lib/libx.so", "/s"] {
        if let Ok(closure) = engine.closure(&RootPath::new(program)) {
            assert!(closure.objects.len() <= 5, "{closure:?}");
            assert!(closure.paths().len() <= 8, "{closure:?}");
        }
    }
    let path = RootPath::new("/usr/bin/p");
    if let (Ok(object), Ok(file)) = (engine.object(&path), tree.open(&path)) {
        assert!(!symbols::defines(&file, &object, b"no such symbol"));
        let _defined = symbols::defines(&file, &object, b"g");
    }
}
