//! What every jail has besides its programs: the directories and devices that programs take for
//! granted, and the few files of /etc that name users and hosts.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::facts::{Made, MadeWhat};
use crate::model::{Kind, RootPath};
use crate::probe::{Accounts, Group, User};

/// Why these are there, in the manifest.
const REASON: &str = "jail";

/// Directories with their modes.
const DIRECTORIES: [(&str, u32); 14] = [
    ("/", 0o755),
    ("/dev", 0o755),
    ("/dev/pts", 0o755),
    ("/dev/shm", 0o1777),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/proc", 0o555),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/usr", 0o755),
    ("/var", 0o755),
    ("/var/tmp", 0o1777),
];

/// Character devices of the memory and terminal drivers, numbers as in devices.txt.
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links that programs and shells expect in /dev.
const LINKS: [(&str, &str); 5] = [
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Sources are the jail's own files: users and hosts from `files`, hosts from DNS too.
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n\
    networks: files\nservices: files\nprotocols: files\nrpc: files\nethers: files\n";

const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// What of the `--from` root shapes the base.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The users and groups there.
    pub accounts: &'a Accounts,
    /// Which of them the jail gets besides root and nobody.
    pub users: &'a BTreeSet<String>,
    /// Content of its resolv.conf.
    pub resolver: Option<Vec<u8>>,
    /// Content of the jail's own ld.so.cache, where it needs one.
    pub loader_cache: Option<Vec<u8>>,
}

/// The list. `holds` says whether the jail will have a program at a path.
#[must_use]
pub fn base(around: &Surroundings<'_>, holds: &dyn Fn(&RootPath) -> bool) -> Vec<Made> {
    let mut out = Vec::new();
    for (path, mode) in DIRECTORIES {
        let owner = None;
        add(&mut out, path, MadeWhat::Directory { mode, owner });
    }
    for (path, major, minor) in DEVICES {
        let device = MadeWhat::Node {
            kind: Kind::CharDevice,
            major,
            minor,
            mode: 0o666,
        };
        add(&mut out, path, device);
    }
    for (path, target) in LINKS {
        let target = PathBuf::from(target);
        add(&mut out, path, MadeWhat::Link { target });
    }
    let users = users(around, holds);
    let groups = groups(around, &users);
    let mut files = vec![
        ("/etc/passwd", passwd(&users)),
        ("/etc/group", group(&groups)),
        ("/etc/nsswitch.conf", NSSWITCH.as_bytes().to_vec()),
        ("/etc/hosts", HOSTS.as_bytes().to_vec()),
    ];
    if let Some(bytes) = around.resolver.clone().filter(|bytes| !bytes.is_empty()) {
        files.push(("/etc/resolv.conf", bytes));
    }
    if let Some(bytes) = around.loader_cache.clone() {
        files.push(("/etc/ld.so.cache", bytes));
    }
    for (path, bytes) in files {
        let mode = 0o644;
        add(&mut out, path, MadeWhat::Write { bytes, mode });
    }
    out
}

fn add(out: &mut Vec<Made>, path: &str, what: MadeWhat) {
    out.push(Made {
        path: RootPath::new(path),
        what,
        reason: REASON.into(),
        weak: true,
    });
}

fn users(around: &Surroundings<'_>, holds: &dyn Fn(&RootPath) -> bool) -> Vec<User> {
    let plain = |name: &str, uid: u32, gid: u32, home: &str, shell: &str| User {
        name: name.into(),
        uid,
        gid,
        gecos: name.into(),
        home: RootPath::new(home),
        shell: RootPath::new(shell),
    };
    let known = |name: &str| around.accounts.user(name).cloned();
    let mut users = vec![
        known("root").unwrap_or_else(|| plain("root", 0, 0, "/root", "/bin/sh")),
        known("nobody")
            .unwrap_or_else(|| plain("nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin")),
    ];
    for name in around.users {
        if users.iter().all(|user| user.name != name.as_str()) {
            users.extend(known(name));
        }
    }
    for user in &mut users {
        // A shell that is not in the jail would make every login fail.
        if user.uid == 0 && !holds(&user.shell) {
            let shells = ["/bin/bash", "/bin/sh", "/bin/busybox"].map(RootPath::new);
            if let Some(shell) = shells.into_iter().find(|shell| holds(shell)) {
                user.shell = shell;
            }
        }
    }
    users
}

/// Every group that one of the users belongs to, and `tty`, whose number devpts wants.
fn groups(around: &Surroundings<'_>, users: &[User]) -> Vec<Group> {
    let mut ids: BTreeSet<u32> = BTreeSet::new();
    for user in users {
        ids.insert(user.gid);
        ids.extend(around.accounts.groups_of(&user.name));
    }
    ids.extend(around.accounts.group("tty").map(|group| group.gid));
    let named = |gid: u32| {
        let mut group = around.accounts.gid(gid).cloned().unwrap_or_else(|| Group {
            name: match gid {
                0 => "root".into(),
                65534 => "nogroup".into(),
                other => format!("group{other}").into(),
            },
            gid,
            members: Vec::new(),
        });
        group
            .members
            .retain(|member| users.iter().any(|user| user.name == *member));
        group
    };
    ids.into_iter().map(named).collect()
}

fn passwd(users: &[User]) -> Vec<u8> {
    let mut out = Vec::new();
    for user in users {
        out.extend_from_slice(user.name.as_bytes());
        out.extend_from_slice(format!(":x:{}:{}:", user.uid, user.gid).as_bytes());
        out.extend_from_slice(user.gecos.as_bytes());
        out.push(b':');
        out.extend_from_slice(user.home.as_bytes());
        out.push(b':');
        out.extend_from_slice(user.shell.as_bytes());
        out.push(b'\n');
    }
    out
}

fn group(groups: &[Group]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in groups {
        out.extend_from_slice(group.name.as_bytes());
        out.extend_from_slice(format!(":x:{}:", group.gid).as_bytes());
        let members: Vec<&[u8]> = group
            .members
            .iter()
            .map(|name| OsStr::as_bytes(name))
            .collect();
        out.extend_from_slice(&members.join(&b','));
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{parse_group, parse_passwd};

    fn text(made: &[Made], path: &str) -> String {
        let found = made.iter().find(|one| one.path == RootPath::new(path));
        match found.map(|one| &one.what) {
            Some(MadeWhat::Write { bytes, .. }) => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn accounts_are_those_of_the_source_cut_down_to_who_is_there() {
        let accounts = Accounts {
            users: parse_passwd(
                b"root:x:0:0:root:/root:/bin/zsh\nbind:x:53:53::/var/cache/bind:/bin/false\n\
                  eve:x:7:7:::\n",
            ),
            groups: parse_group(b"root:x:0:\ntty:x:5:eve\nbind:x:53:\nssl:x:60:bind,eve\n"),
        };
        let users = BTreeSet::from(["bind".to_string()]);
        let around = Surroundings {
            accounts: &accounts,
            users: &users,
            resolver: None,
            loader_cache: None,
        };
        let made = base(&around, &|path| *path == RootPath::new("/bin/sh"));
        let passwd = text(&made, "/etc/passwd");
        assert!(
            passwd.starts_with("root:x:0:0:root:/root:/bin/sh\n"),
            "{passwd}"
        );
        assert!(passwd.contains("\nbind:x:53:53::/var/cache/bind:/bin/false\n"));
        assert!(passwd.contains("\nnobody:x:65534:"));
        assert!(!passwd.contains("eve"));
        let group = text(&made, "/etc/group");
        assert_eq!(
            group,
            "root:x:0:\ntty:x:5:\nbind:x:53:\nssl:x:60:bind\nnogroup:x:65534:\n"
        );
        assert!(
            !made
                .iter()
                .any(|one| one.path == RootPath::new("/etc/resolv.conf"))
        );
    }
}
