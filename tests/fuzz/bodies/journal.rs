//! A journal file: whatever it holds, the walk ends, and what comes out is bounded.

use newroot::probe::health::journal::look;
use newroot::probe::lastboot;
use newroot::root::Mem;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let path = format!("/var/log/journal/{ID}/system.journal");
    let tree = Mem::new()
        .with_file(&path, data)
        .with_file("/var/log/wtmp", data);
    let log = look(&tree, Some(ID));
    assert!(log.errors.len() <= 4 * 40 * 4096);
    for line in &log.errors {
        // At most 1 KiB is read; a byte that is no UTF-8 becomes three.
        assert!(line.message.len() <= 3 * 1024 && line.priority <= 3);
    }
    let _boot = lastboot::find(&tree, Some(ID));
}
