//! The small things: machine-id, ssh's host keys, SELinux, crash records, what a repair left.

use crate::model::{Kind, Meta, RootPath};
use crate::root::{self, Tree};

/// /etc/machine-id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MachineId {
    /// Nothing there.
    #[default]
    Absent,
    /// Empty, or `uninitialized`: the next boot makes one.
    ToBeMade,
    /// 32 hexadecimal digits.
    Good,
    /// Something else.
    Bad,
}

/// SELinux, as /etc/selinux/config has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selinux {
    /// `enforcing`, `permissive`, `disabled`; empty where there is no configuration.
    pub mode: String,
    /// `SELINUXTYPE`.
    pub policy: String,
    /// A compiled policy of that type is there.
    pub has_policy: bool,
    /// /.autorelabel is there.
    pub relabel: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFacts {
    /// /etc/machine-id.
    pub machine_id: MachineId,
    /// sshd is installed.
    pub sshd: bool,
    /// Its private host keys.
    pub host_keys: Vec<(RootPath, Meta)>,
    /// Something makes host keys at boot where they are missing.
    pub makes_host_keys: bool,
    /// SELinux.
    pub selinux: Selinux,
    /// Crash records that systemd saved from the firmware: names.
    pub pstore: Vec<RootPath>,
    /// Repairs that did not come to their end: their directories.
    pub unfinished: Vec<RootPath>,
    /// Names in /etc/ld.so.preload.
    pub preload: Vec<String>,
    /// Of these, the ones that are not there.
    pub preload_missing: Vec<String>,
    /// Lines of /etc/crypttab that are skipped, from 1, and why.
    pub crypttab: Vec<(usize, &'static str)>,
    /// When /usr/lib/os-release was written: the release is not older.
    pub built: i64,
}

/// While this file is in the directory of a repair below /var/backups/newroot, the repair has
/// not come to its end.
pub const UNFINISHED: &str = "unfinished";
const BACKUPS: &str = "/var/backups/newroot";
const LIMIT: usize = 64 << 10;
const MOST: usize = 64;
const MOST_LINES: usize = 1000;

/// Reads all of it.
#[must_use]
pub fn look(tree: &dyn Tree) -> StateFacts {
    let there = |path: &str| tree.lstat(&RootPath::new(path)).is_ok();
    let preload = preload(tree);
    let missing = |name: &&String| {
        name.starts_with('/') && !name.contains('$') && !root::is_file(tree, &RootPath::new(name))
    };
    StateFacts {
        machine_id: machine_id(tree),
        sshd: root::is_file(tree, &RootPath::new("/usr/sbin/sshd"))
            || root::is_file(tree, &RootPath::new("/usr/bin/sshd")),
        host_keys: host_keys(tree),
        makes_host_keys: [
            "/usr/lib/systemd/system/sshd-keygen@.service",
            "/usr/lib/systemd/system/sshd-keygen.service",
            "/usr/lib/systemd/system/sshdgenkeys.service",
            "/usr/lib/systemd/system/sshd-keygen.target",
            "/etc/init.d/sshd",
        ]
        .iter()
        .any(|path| there(path)),
        selinux: selinux(tree),
        pstore: pstore(tree),
        unfinished: unfinished(tree),
        preload_missing: preload.iter().filter(missing).cloned().collect(),
        preload,
        crypttab: root::read(tree, &RootPath::new("/etc/crypttab"), LIMIT)
            .map_or_else(|_| Vec::new(), |text| crypttab(&text)),
        built: tree
            .stat(&RootPath::new("/usr/lib/os-release"))
            .map_or(0, |meta| meta.modified.0),
    }
}

/// What crypttab(5) does not allow: systemd and cryptsetup's scripts skip such a line.
fn crypttab(text: &[u8]) -> Vec<(usize, &'static str)> {
    let text = String::from_utf8_lossy(text);
    let mut names: Vec<&str> = Vec::new();
    let mut bad = Vec::new();
    for (at, line) in text.lines().enumerate().take(MOST_LINES) {
        let mut fields = line.split_whitespace();
        let Some(name) = fields.next().filter(|name| !name.starts_with('#')) else {
            continue;
        };
        let why = match fields.next() {
            None => "it names no device",
            Some(_) if name.contains('/') || matches!(name, "." | "..") => {
                "the first field is no name"
            }
            Some(_) if names.contains(&name) => "an earlier line has this name",
            Some(_) => {
                names.push(name);
                continue;
            }
        };
        bad.push((at + 1, why));
    }
    bad.truncate(MOST);
    bad
}

fn machine_id(tree: &dyn Tree) -> MachineId {
    let path = RootPath::new("/etc/machine-id");
    match root::read(tree, &path, LIMIT) {
        Err(_) if tree.lstat(&path).is_ok() => MachineId::Bad,
        Err(_) => MachineId::Absent,
        Ok(bytes) => {
            let text = bytes.trim_ascii();
            let hex = text.len() == 32 && text.iter().all(u8::is_ascii_hexdigit);
            match text {
                b"" | b"uninitialized" => MachineId::ToBeMade,
                _ if hex && text.iter().any(|byte| *byte != b'0') => MachineId::Good,
                _ => MachineId::Bad,
            }
        }
    }
}

fn host_keys(tree: &dyn Tree) -> Vec<(RootPath, Meta)> {
    let base = RootPath::new("/etc/ssh");
    let names = tree.list(&base).unwrap_or_default();
    let keys = names.iter().filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("ssh_host_") && name.ends_with("_key")
    });
    keys.take(MOST)
        .filter_map(|name| {
            let path = base.join(name);
            let meta = tree.stat(&path).ok()?;
            Some((path, meta))
        })
        .collect()
}

fn selinux(tree: &dyn Tree) -> Selinux {
    let text = root::read(tree, &RootPath::new("/etc/selinux/config"), LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        text.lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim().to_string())
            .unwrap_or_default()
    };
    let policy = value("SELINUXTYPE");
    let place = RootPath::new("/etc/selinux").join(&policy).join("policy");
    let has_policy = !policy.is_empty()
        && tree.list(&place).is_ok_and(|names| {
            names
                .iter()
                .any(|name| name.to_string_lossy().starts_with("policy."))
        });
    Selinux {
        mode: value("SELINUX"),
        policy,
        has_policy,
        relabel: tree.lstat(&RootPath::new("/.autorelabel")).is_ok(),
    }
}

/// Kernel messages that survived a crash: systemd-pstore(8) puts them below this directory.
fn pstore(tree: &dyn Tree) -> Vec<RootPath> {
    let base = RootPath::new("/var/lib/systemd/pstore");
    let mut found = Vec::new();
    for name in tree.list(&base).unwrap_or_default().into_iter().take(MOST) {
        let path = base.join(&name);
        match tree.lstat(&path).map(|meta| meta.kind) {
            Ok(Kind::File) => found.push(path),
            Ok(Kind::Directory) => {
                let names = tree.list(&path).unwrap_or_default();
                found.extend(names.into_iter().take(MOST).map(|name| path.join(name)));
            }
            _ => {}
        }
    }
    found.truncate(MOST);
    found
}

fn unfinished(tree: &dyn Tree) -> Vec<RootPath> {
    let base = RootPath::new(BACKUPS);
    let names = tree.list(&base).unwrap_or_default();
    let repairs = names.into_iter().take(1000).map(|name| base.join(name));
    repairs
        .filter(|repair| tree.lstat(&repair.join(UNFINISHED)).is_ok())
        .take(MOST)
        .collect()
}

fn preload(tree: &dyn Tree) -> Vec<String> {
    let text = root::read(tree, &RootPath::new("/etc/ld.so.preload"), LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split([' ', '\t', ':']))
        .filter(|name| !name.is_empty())
        .take(MOST)
        .map(str::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    #[test]
    fn machine_ids() {
        let table = [
            ("", MachineId::ToBeMade),
            ("uninitialized\n", MachineId::ToBeMade),
            ("0123456789abcdef0123456789abcdef\n", MachineId::Good),
            ("00000000000000000000000000000000\n", MachineId::Bad),
            ("web03\n", MachineId::Bad),
        ];
        for (text, wanted) in table {
            let tree = Mem::new().with_file("/etc/machine-id", text);
            assert_eq!(look(&tree).machine_id, wanted, "{text}");
        }
        assert_eq!(look(&Mem::new()).machine_id, MachineId::Absent);
    }

    #[test]
    fn lines_of_crypttab_that_are_skipped() {
        let table: [(&str, &[usize]); 7] = [
            ("", &[]),
            ("# only words\n\n", &[]),
            ("a UUID=1 none luks\nb /dev/sda2\n", &[]),
            ("a\n", &[1]),
            ("/dev/mapper/a UUID=1\n.. UUID=2\n", &[1, 2]),
            ("a UUID=1\na UUID=2\n", &[2]),
            ("\0\u{fffd}\n x\n", &[1, 2]),
        ];
        for (text, lines) in table {
            let found: Vec<usize> = crypttab(text.as_bytes()).iter().map(|it| it.0).collect();
            assert_eq!(found, lines, "{text:?}");
        }
    }

    #[test]
    fn crashes_repairs_and_selinux_are_seen() {
        let tree = Mem::new()
            .with_file("/var/lib/systemd/pstore/1/dmesg.txt", "x")
            .with_file("/var/backups/newroot/20261124/unfinished", "")
            .with_file(
                "/etc/selinux/config",
                "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
            )
            .with_file("/etc/ld.so.preload", "/lib/gone.so # x\n");
        let facts = look(&tree);
        assert_eq!(facts.pstore.len(), 1);
        assert_eq!(facts.unfinished.len(), 1);
        assert_eq!(facts.selinux.mode, "enforcing");
        assert!(!facts.selinux.has_policy);
        assert_eq!(facts.preload_missing, ["/lib/gone.so"]);
    }
}
