//! The users and groups of a root, from its own `/etc/passwd` and `/etc/group`.
//!
//! No name service is asked: a static glibc would load the host's plugins (design rule 14), and
//! a root's accounts are its own. The files may be hostile: they are bounded, and a line that
//! does not have passwd(5)'s or group(5)'s shape is skipped, as glibc does.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::model::RootPath;
use crate::root::{self, Tree};

/// Longer files are taken as absent: no real passwd comes near it.
const LIMIT: usize = 16 << 20;

/// One line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name.
    pub name: OsString,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// The comment field.
    pub gecos: OsString,
    /// The home directory inside the root; `/` when the field is empty.
    pub home: RootPath,
    /// The login shell inside the root; `/bin/sh` when the field is empty (passwd(5)).
    pub shell: RootPath,
}

/// One line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group's name.
    pub name: OsString,
    /// Numeric group id.
    pub gid: u32,
    /// The users that list it as a supplementary group.
    pub members: Vec<OsString>,
}

/// The accounts of one root, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub users: Vec<User>,
    /// `/etc/group`.
    pub groups: Vec<Group>,
}

impl Accounts {
    /// Reads both files of `tree`; one that is absent or cannot be read counts as empty.
    #[must_use]
    pub fn read(tree: &dyn Tree) -> Self {
        let bytes = |path: &str| root::read(tree, &RootPath::new(path), LIMIT).unwrap_or_default();
        Self {
            users: parse_passwd(&bytes("/etc/passwd")),
            groups: parse_group(&bytes("/etc/group")),
        }
    }

    /// The user of that name; the first line wins, as in glibc.
    #[must_use]
    pub fn user(&self, name: impl AsRef<OsStr>) -> Option<&User> {
        self.users.iter().find(|user| user.name == name.as_ref())
    }

    /// The first user with that id.
    #[must_use]
    pub fn uid(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: impl AsRef<OsStr>) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name.as_ref())
    }

    /// The first group with that id.
    #[must_use]
    pub fn gid(&self, gid: u32) -> Option<&Group> {
        self.groups.iter().find(|group| group.gid == gid)
    }

    /// The ids that initgroups(3) would set for a user: the primary group first, then every
    /// group that lists the user, each once. Empty when there is no such user.
    #[must_use]
    pub fn groups_of(&self, name: impl AsRef<OsStr>) -> Vec<u32> {
        let Some(user) = self.user(name.as_ref()) else {
            return Vec::new();
        };
        let mut ids = vec![user.gid];
        for group in &self.groups {
            if group.members.contains(&user.name) && !ids.contains(&group.gid) {
                ids.push(group.gid);
            }
        }
        ids
    }
}

/// passwd(5): `name:password:uid:gid:gecos:home:shell`.
#[must_use]
pub fn parse_passwd(bytes: &[u8]) -> Vec<User> {
    lines(bytes)
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = name(fields.next()?)?;
            fields.next()?;
            let uid = number(fields.next()?)?;
            let gid = number(fields.next()?)?;
            let gecos = OsStr::from_bytes(fields.next().unwrap_or_default()).to_os_string();
            let home = RootPath::from_bytes(fields.next().unwrap_or_default());
            let shell = match fields.next().unwrap_or_default() {
                b"" => RootPath::new("/bin/sh"),
                path => RootPath::from_bytes(path),
            };
            Some(User {
                name,
                uid,
                gid,
                gecos,
                home,
                shell,
            })
        })
        .collect()
}

/// group(5): `name:password:gid:member,member`.
#[must_use]
pub fn parse_group(bytes: &[u8]) -> Vec<Group> {
    lines(bytes)
        .filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = name(fields.next()?)?;
            fields.next()?;
            let gid = number(fields.next()?)?;
            let members = fields
                .next()
                .unwrap_or_default()
                .split(|byte| *byte == b',')
                .filter_map(|member| self::name(member.trim_ascii()))
                .collect();
            Some(Group { name, gid, members })
        })
        .collect()
}

/// The lines that can be accounts: no comment, no NIS `+` or `-` entry, no NUL (a C string
/// would end there and mean another user).
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_start)
        .filter(|line| !matches!(line.first(), None | Some(b'#' | b'+' | b'-')))
        .filter(|line| !line.contains(&0))
}

fn name(field: &[u8]) -> Option<OsString> {
    (!field.is_empty()).then(|| OsStr::from_bytes(field).to_os_string())
}

/// Digits only: `+5` and the id `u32::MAX`, which setresuid(2) reads as "leave it", are refused.
fn number(field: &[u8]) -> Option<u32> {
    if !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let id: u32 = std::str::from_utf8(field).ok()?.parse().ok()?;
    (id != u32::MAX).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n+nis::::::\n\nshort:x:1\nbad:x:-1:0:::\nmax:x:4294967295:0:::\n\
        plus:x:+5:0:::\nbind:x:105:112::/var/cache/bind:\nold:x:7:7\nroot:x:9:9::/evil:/evil\n";
    const GROUP: &str = "root:x:0:\nbind:x:112:\nadm:x:4:syslog, bind\nbroken:x\n\
        disk:x:6:bind,bind\nagain:x:4:bind\n";

    fn accounts() -> Accounts {
        Accounts::read(
            &Mem::new()
                .with_file("/etc/passwd", PASSWD)
                .with_file("/etc/group", GROUP),
        )
    }

    #[test]
    fn malformed_lines_are_skipped_and_the_first_name_wins() {
        let accounts = accounts();
        let names: Vec<_> = accounts.users.iter().map(|user| &user.name).collect();
        assert_eq!(names, ["root", "bind", "old", "root"]);
        assert_eq!(accounts.user("root").unwrap().uid, 0);
        assert_eq!(
            accounts.user("root").unwrap().shell,
            RootPath::new("/bin/bash")
        );
        assert_eq!(accounts.uid(105).unwrap().name, "bind");
        assert_eq!(
            accounts.user("bind").unwrap().shell,
            RootPath::new("/bin/sh")
        );
        assert_eq!(accounts.user("old").unwrap().home, RootPath::root());
        assert!(accounts.user("max").is_none() && accounts.user("plus").is_none());
        assert_eq!(accounts.group("adm").unwrap().gid, 4);
        assert_eq!(accounts.gid(6).unwrap().name, "disk");
    }

    #[test]
    fn groups_are_those_of_initgroups() {
        assert_eq!(accounts().groups_of("bind"), [112, 4, 6]);
        assert_eq!(accounts().groups_of("nobody"), [] as [u32; 0]);
    }

    #[test]
    fn a_root_without_accounts_and_bytes_that_are_no_text_are_no_error() {
        assert_eq!(Accounts::read(&Mem::new()), Accounts::default());
        let users = parse_passwd(b"\xff\xfe:x:3:4:\xff:/\xff:/bin/sh\nnul\0:x:0:0:::\n");
        assert_eq!(users.len(), 1);
        assert_eq!(users[0].home.as_bytes(), b"/\xff");
    }
}
