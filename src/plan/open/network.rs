//! Network filesystems of fstab. mount(8) starts a program of the live system for them, with words
//! that come from a foreign disk: what that program may be told is a list, and nothing else.

use super::Why;
use crate::probe::fstab::{Entry, Spec};

/// Types whose programs connect and mount, and do nothing else. Those of `fuse.*` (sshfs,
/// glusterfs, `fuse` itself) start what an option or the source tells them to.
const NFS: &[&str] = &["nfs", "nfs4"];
const CIFS: &[&str] = &["cifs", "smb3"];

/// For mount(8), systemd or people; harmless, and nothing that a mount for a rescue needs. `bg`
/// would leave a process behind.
const IGNORED: &[&str] = &[
    "defaults", "auto", "noauto", "nofail", "fail", "_netdev", "comment", "user", "users",
    "nouser", "owner", "group", "suid", "dev", "bg", "fg", "retry", "intr", "nointr", "async",
    "rw",
];

/// Flags of any mount.
const FLAGS: &[&str] = &[
    "ro",
    "nosuid",
    "nodev",
    "noexec",
    "sync",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
];

/// nfs(5): how to talk to the server.
const NFS_OPTIONS: &[&str] = &[
    "vers",
    "nfsvers",
    "minorversion",
    "proto",
    "port",
    "mountport",
    "mountproto",
    "mountvers",
    "tcp",
    "udp",
    "soft",
    "softerr",
    "hard",
    "timeo",
    "retrans",
    "rsize",
    "wsize",
    "sec",
    "lock",
    "nolock",
    "local_lock",
    "ac",
    "noac",
    "acregmin",
    "acregmax",
    "acdirmin",
    "acdirmax",
    "actimeo",
    "cto",
    "nocto",
    "resvport",
    "noresvport",
    "rdirplus",
    "nordirplus",
    "sharecache",
    "nosharecache",
    "nconnect",
    "lookupcache",
];

/// mount.cifs(8), without what reads a file of the live system (`credentials`) or shows a
/// password to everybody.
const CIFS_OPTIONS: &[&str] = &[
    "vers",
    "sec",
    "guest",
    "uid",
    "gid",
    "forceuid",
    "forcegid",
    "file_mode",
    "dir_mode",
    "iocharset",
    "domain",
    "dom",
    "workgroup",
    "nounix",
    "serverino",
    "noserverino",
    "mfsymlinks",
    "nobrl",
    "cache",
    "soft",
    "hard",
    "perm",
    "noperm",
    "rsize",
    "wsize",
    "seal",
    "port",
    "username",
];

/// What mount(8) is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) source: String,
    pub(super) kind: String,
    pub(super) options: String,
}

/// Judges an entry.
///
/// # Errors
/// Why it is left out.
pub(super) fn request(entry: &Entry, write: bool) -> Result<Request, Why> {
    let skipped = |why: String| Why::Skipped(format!("{why}; if it is trusted, mount it by hand"));
    let kind = entry.fs_type.as_str();
    let known = if NFS.contains(&kind) {
        NFS_OPTIONS
    } else if CIFS.contains(&kind) {
        CIFS_OPTIONS
    } else {
        let why = "newroot mounts nfs and cifs only: others start programs of this live system";
        return Err(skipped(why.to_string()));
    };
    let source = match &entry.spec {
        Spec::Network(text) if is_source(text, known == NFS_OPTIONS) => text.clone(),
        _ => return Err(skipped(format!("that is no source of {kind}"))),
    };
    let mut words: Vec<&str> = Vec::new();
    for text in &entry.options {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let passed = FLAGS.contains(&key) && value.is_empty() || known.contains(&key);
        if passed && value.chars().all(is_plain) {
            words.push(text);
        } else if !is_ignored(key) {
            return Err(skipped(format!("its option {key} is not passed on")));
        }
    }
    if known == CIFS_OPTIONS && !is_without_password(&words) {
        return Err(skipped("it needs a password".to_string()));
    }
    // A server of a foreign disk's choice says what is in it.
    words.extend(["nosuid", "nodev"]);
    if !write {
        words.push("ro");
    }
    Ok(Request {
        source,
        kind: kind.to_string(),
        options: words.join(","),
    })
}

fn is_ignored(key: &str) -> bool {
    key.is_empty() || key.starts_with("x-") || key.starts_with("X-") || IGNORED.contains(&key)
}

/// mount.cifs would ask for one at the terminal.
fn is_without_password(words: &[&str]) -> bool {
    words
        .iter()
        .any(|word| *word == "guest" || *word == "sec=none" || word.starts_with("sec=krb5"))
}

/// `host:/export`, `[fe80::1]:/export`; `//host/share`. Never a word that begins like an option.
fn is_source(text: &str, nfs: bool) -> bool {
    let is_host = |host: &str| {
        let name = host
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let name = name.unwrap_or(host);
        !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
    };
    let (host, path) = if nfs {
        match text.split_once(":/") {
            Some(both) => both,
            None => return false,
        }
    } else {
        let both = text
            .strip_prefix("//")
            .and_then(|rest| rest.split_once('/'));
        match both {
            Some(both) => both,
            None => return false,
        }
    };
    is_host(host)
        && !path
            .chars()
            .any(|letter| letter.is_control() || letter == ',')
}

/// What a value or a host's name consists of: no path, no quotes, no separator.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._:+-".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::fstab;

    fn judged(line: &str, write: bool) -> Result<String, String> {
        let fstab = fstab::parse(line.as_bytes());
        match request(&fstab.entries[0], write) {
            Ok(request) => Ok(format!(
                "{} {} {}",
                request.kind, request.options, request.source
            )),
            Err(Why::Skipped(why) | Why::Missing(why)) => Err(why),
        }
    }

    #[test]
    fn what_people_write_is_mounted() {
        let table = [
            ("srv:/x /n nfs defaults 0 0", "nfs nosuid,nodev,ro srv:/x"),
            (
                "srv.example.org:/a\\040b /n nfs4 rw,vers=4.2,soft,timeo=50,_netdev,x-systemd.automount,bg",
                "nfs4 vers=4.2,soft,timeo=50,nosuid,nodev,ro srv.example.org:/a b",
            ),
            (
                "[fe80::1]:/x /n nfs sec=krb5p,noatime",
                "nfs sec=krb5p,noatime,nosuid,nodev,ro [fe80::1]:/x",
            ),
            (
                "//srv/my\\040share /n cifs guest,uid=1000,file_mode=0640,vers=3.0,nofail",
                "cifs guest,uid=1000,file_mode=0640,vers=3.0,nosuid,nodev,ro //srv/my share",
            ),
        ];
        for (line, wanted) in table {
            assert_eq!(judged(line, false).as_deref(), Ok(wanted), "{line}");
        }
        assert_eq!(
            judged("srv:/x /n nfs suid,dev", true).as_deref(),
            Ok("nfs nosuid,nodev srv:/x")
        );
    }

    #[test]
    fn what_a_hostile_disk_writes_is_not() {
        let table = [
            ("u@srv:/x /n fuse.sshfs defaults", "start programs"),
            (
                "u@srv:/x /n fuse.sshfs ssh_command=/bin/evil",
                "start programs",
            ),
            ("sh#/tmp/evil /n fuse _netdev", "start programs"),
            ("srv:/x /n fuse.evil _netdev", "start programs"),
            (
                "srv:/vol /n glusterfs log-file=/etc/passwd",
                "start programs",
            ),
            ("/run/sock /n 9p trans=unix,_netdev", "start programs"),
            ("/dev/sda1 /n ext4 _netdev", "start programs"),
            ("srv:/x /n nfs,evil defaults", "start programs"),
            ("-Oevil:/x /n nfs defaults", "no source"),
            ("--bind:/x /n nfs defaults", "no source"),
            ("/etc /n nfs _netdev", "no source"),
            ("a,b:/x /n nfs defaults", "no source"),
            ("a\\012b:/x /n nfs defaults", "no source"),
            ("srv:/x,y /n nfs defaults", "no source"),
            ("srv:/x /n nfs helper=/bin/evil", "option helper"),
            ("srv:/x /n nfs uhelper=evil", "option uhelper"),
            ("srv:/x /n nfs remount,bind=1", "option remount"),
            ("srv:/x /n nfs vers=4,vers=/../x", "option vers"),
            ("srv:/x /n nfs ro=1", "option ro"),
            ("srv:/x /n nfs \"vers=4,helper=x\"", "option \"vers"),
            (
                "//srv/s /n cifs guest,credentials=/etc/shadow",
                "option credentials",
            ),
            ("//srv/s /n cifs guest,password2=x", "option password2"),
            ("//srv/s /n cifs username=root", "a password"),
            ("//srv /n cifs guest", "no source"),
            ("//-s/x /n cifs guest", "no source"),
        ];
        for (line, wanted) in table {
            let why = judged(line, true).unwrap_err();
            assert!(why.contains(wanted), "{line}: {why}");
        }
    }
}
