//! What the kernel said of a disk since the boot: errors of the medium or of the way to it.

use std::path::Path;

use rustix::io::Errno;

use crate::sys;

/// More records than the kernel's ring holds.
const MOST_RECORDS: usize = 200_000;

/// Messages about errors of one of these disks (names of the kernel), the first few of them.
/// Empty where the log may not be read.
#[must_use]
pub fn disk_errors(disks: &[String]) -> Vec<String> {
    const MOST: usize = 5;
    let Ok(log) = sys::fs::open_to_read(rustix::fs::CWD, Path::new("/dev/kmsg")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut buffer = vec![0; 8192];
    for _ in 0..MOST_RECORDS {
        match rustix::io::read(&log, &mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let message = text.split_once(';').map_or("", |(_, rest)| rest);
                let line = message.lines().next().unwrap_or_default();
                if is_disk_error(line, disks) && found.len() < MOST {
                    found.push(line.to_string());
                }
            }
            // EPIPE: records were overwritten under us; the next read goes on behind them.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(_) => break,
        }
    }
    found
}

/// "I/O error, dev sda, sector 2048", "Buffer I/O error on dev sda2, logical block 1",
/// "critical medium error, dev sda".
fn is_disk_error(line: &str, disks: &[String]) -> bool {
    let marks = [
        "I/O error, dev ",
        "I/O error on dev ",
        "I/O error on device ",
        "medium error, dev ",
        "target error, dev ",
    ];
    let device = marks.iter().find_map(|mark| {
        let rest = line.split_once(mark)?.1;
        rest.split([',', ' ', ':']).next()
    });
    device.is_some_and(|device| disks.iter().any(|disk| is_on(device, disk)))
}

/// `sda2` and `nvme0n1p2` are on `sda` and `nvme0n1`.
fn is_on(device: &str, disk: &str) -> bool {
    device.strip_prefix(disk).is_some_and(|part| {
        let number = part.strip_prefix('p').unwrap_or(part);
        part.is_empty() || !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_disks_in_question() {
        let disks = ["sda".to_string(), "nvme0n1".to_string()];
        let table = [
            (
                "blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ)",
                true,
            ),
            (
                "Buffer I/O error on dev sda2, logical block 1, async page read",
                true,
            ),
            ("critical medium error, dev nvme0n1, sector 8", true),
            ("Buffer I/O error on dev nvme0n1p3, logical block 0", true),
            ("I/O error, dev sdab, sector 1", false),
            ("I/O error, dev sr0, sector 1", false),
            ("EXT4-fs (sda2): mounted filesystem", false),
            ("sda: I/O error, dev ", false),
        ];
        for (line, wanted) in table {
            assert_eq!(is_disk_error(line, &disks), wanted, "{line}");
        }
    }
}
