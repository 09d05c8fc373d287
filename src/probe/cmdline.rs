//! The kernel command line that a system boots with: its own, not that of the live medium. Tools
//! that make boot entries copy what /proc/cmdline says (systemd#40103).

use std::ffi::OsString;

use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// The most that is read of a configuration file.
const MOST: usize = 4 << 20;
/// The most that is read of a journal, from its end.
const MOST_JOURNAL: u64 = 64 << 20;
/// A command line is at most this long on any architecture (COMMAND_LINE_SIZE).
const LONGEST: usize = 4096;
/// What the kernel says first, as the journal has it.
const SAID: &[u8] = b"MESSAGE=Command line: ";

/// Where it was found, and the line itself, with a newline as in /proc/cmdline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The file.
    pub source: RootPath,
    /// The line.
    pub line: Vec<u8>,
}

/// Looks in `tree`: boot loader entries, /etc/kernel/cmdline, grub.cfg, the journal.
#[must_use]
pub fn find(tree: &dyn Tree, machine_id: Option<&str>) -> Option<CommandLine> {
    let found = entries(tree)
        .or_else(|| kernel_cmdline(tree))
        .or_else(|| grub(tree))
        .or_else(|| journal(tree, machine_id?))?;
    let (source, text) = found;
    let mut line: Vec<u8> = text.trim_ascii().to_vec();
    let odd = line.is_empty() || line.len() > LONGEST || line.contains(&0);
    if odd {
        return None;
    }
    line.push(b'\n');
    Some(CommandLine { source, line })
}

type Found = (RootPath, Vec<u8>);

/// Entries as the Boot Loader Specification has them; the last by name is the newest kernel.
/// Options that are variables of GRUB (`$kernelopts`) say nothing.
fn entries(tree: &dyn Tree) -> Option<Found> {
    for base in [
        "/boot/loader/entries",
        "/efi/loader/entries",
        "/boot/efi/loader/entries",
    ] {
        let base = RootPath::new(base);
        let mut names: Vec<OsString> = tree.list(&base).unwrap_or_default();
        names.retain(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".conf") && !name.contains("rescue")
        });
        names.sort_by_key(|name| numbers(&name.to_string_lossy()));
        let of_entry = |name: &OsString| {
            let path = base.join(name);
            let text = root::read(tree, &path, MOST).ok()?;
            let options = words_after(&text, "options")?;
            (!options.contains(&b'$')).then_some((path, options))
        };
        if let Some(found) = names.iter().rev().find_map(of_entry) {
            return Some(found);
        }
    }
    None
}

fn kernel_cmdline(tree: &dyn Tree) -> Option<Found> {
    ["/etc/kernel/cmdline", "/usr/lib/kernel/cmdline"]
        .iter()
        .find_map(|path| {
            let path = RootPath::new(path);
            let text = root::read(tree, &path, LONGEST).ok()?;
            let line = text.trim_ascii().to_vec();
            let line: Vec<u8> = line
                .iter()
                .map(|byte| if *byte == b'\n' { b' ' } else { *byte })
                .collect();
            (!line.is_empty()).then_some((path, line))
        })
}

/// The first `linux` line is that of the default entry. The kernel's file comes first on it; the
/// kernel sees it as BOOT_IMAGE.
fn grub(tree: &dyn Tree) -> Option<Found> {
    ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"]
        .iter()
        .find_map(|path| {
            let path = RootPath::new(path);
            let text = root::read(tree, &path, MOST).ok()?;
            let line = ["linux", "linuxefi", "linux16"]
                .iter()
                .find_map(|command| words_after(&text, command))?;
            let line: Vec<u8> = line.into_iter().filter(|byte| *byte != b'"').collect();
            if line.contains(&b'$') {
                return None;
            }
            let image = [b"BOOT_IMAGE=".as_slice(), &line].concat();
            Some((path, image))
        })
}

/// The rest of the first line that starts with `word`.
fn words_after(text: &[u8], word: &str) -> Option<Vec<u8>> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.trim_ascii().strip_prefix(word.as_bytes())?;
        let (first, _) = rest.split_first()?;
        let rest = rest.trim_ascii();
        (first.is_ascii_whitespace() && !rest.is_empty()).then(|| rest.to_vec())
    })
}

/// What the kernel said at the last boot. Short fields lie in a journal as they are.
fn journal(tree: &dyn Tree, machine_id: &str) -> Option<Found> {
    let directory = RootPath::new("/var/log/journal").join(machine_id);
    let newest = tree
        .list(&directory)
        .ok()?
        .into_iter()
        .filter(|name| name.to_string_lossy().starts_with("system"))
        .filter_map(|name| {
            let path = directory.join(name);
            let meta = tree.stat(&path).ok()?;
            (meta.kind == Kind::File).then_some((meta.modified, meta.size, path))
        })
        .max()?;
    let (_, size, path) = newest;
    let file = tree.open(&path).ok()?;
    let from = size.saturating_sub(MOST_JOURNAL);
    let mut bytes = vec![0; usize::try_from(size - from).ok()?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    let at = bytes[..filled]
        .windows(SAID.len())
        .rposition(|window| window == SAID)?;
    let rest = &bytes[at + SAID.len()..filled];
    let end = rest
        .iter()
        .take(LONGEST)
        .position(|byte| *byte < b' ')
        .unwrap_or_else(|| rest.len().min(LONGEST));
    Some((path, rest[..end].to_vec()))
}

/// The numbers in a name, so that 6.10 comes after 6.9.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    const GRUB: &str = "set x=y\nmenuentry 'Debian' {\n\tlinux\t/boot/vmlinuz-6.1 root=UUID=3f2a ro quiet\n}\nmenuentry 'old' {\n\tlinux /boot/vmlinuz-5 root=x\n}\n";

    fn line(tree: &Mem) -> Option<String> {
        let found = find(tree, Some("0123"))?;
        Some(String::from_utf8(found.line).unwrap())
    }

    #[test]
    fn the_most_telling_source_counts() {
        let mut tree = Mem::new().with_file(
            "/var/log/journal/0123/system.journal",
            "xMESSAGE=Command line: first\0yyMESSAGE=Command line: BOOT_IMAGE=/vmlinuz root=/dev/x\0zz",
        );
        assert_eq!(line(&tree).unwrap(), "BOOT_IMAGE=/vmlinuz root=/dev/x\n");
        tree = tree.with_file("/boot/grub/grub.cfg", GRUB);
        assert_eq!(
            line(&tree).unwrap(),
            "BOOT_IMAGE=/boot/vmlinuz-6.1 root=UUID=3f2a ro quiet\n"
        );
        tree = tree.with_file("/etc/kernel/cmdline", "root=UUID=1\nro\n");
        assert_eq!(line(&tree).unwrap(), "root=UUID=1 ro\n");
        tree = tree
            .with_file(
                "/boot/loader/entries/a-6.9.conf",
                "title x\noptions root=old\n",
            )
            .with_file("/boot/loader/entries/a-6.10.conf", "options root=new rw\n")
            .with_file("/boot/loader/entries/a-7.0.conf", "options $kernelopts\n")
            .with_file("/boot/loader/entries/a-0-rescue.conf", "options root=r\n");
        assert_eq!(line(&tree).unwrap(), "root=new rw\n");
    }

    #[test]
    fn what_is_no_command_line_is_none() {
        assert_eq!(line(&Mem::new()), None);
        let long = "x".repeat(5000);
        for text in ["", "\n\n", "a\0b", long.as_str()] {
            let tree = Mem::new().with_file("/etc/kernel/cmdline", text);
            assert_eq!(line(&tree), None, "{text:?}");
        }
        let tree = Mem::new().with_file("/boot/grub/grub.cfg", "linux $kernel root=x\nlinuxx y\n");
        assert_eq!(line(&tree), None);
    }
}
