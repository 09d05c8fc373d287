//! Every shipped profile: built, checked, and its main program run in the jail.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{jail, works};
use crate::need::Need;
use crate::run::newroot;
use crate::trial::Trial;

/// Profile, command, and what its output holds.
const TABLE: &[(&str, &[&str], &str)] = &[
    ("busybox", &["/bin/ls", "/dev/null"], "/dev/null"),
    ("certs", &["openssl", "version"], "OpenSSL"),
    (
        "compiler",
        &["gcc", "-x", "c", "-o", "/tmp/a.out", "/etc/main.c"],
        "",
    ),
    ("coreutils", &["ls", "/etc/passwd"], "/etc/passwd"),
    ("dns-server", &["named", "-v"], "BIND"),
    (
        "gconv",
        &["iconv", "-f", "KOI8-R", "-t", "UTF-8", "/etc/group"],
        "root",
    ),
    ("git", &["git", "init", "/tmp/r"], "Initialized"),
    ("lent", &["dpkg-query", "--version"], "dpkg-query"),
    ("locale", &["locale", "-a"], "C.utf8"),
    ("network-tools", &["ip", "-V"], "iproute2"),
    ("nss", &["getent", "passwd", "root"], "root:"),
    (
        "pam",
        &["su", "-s", "/bin/sh", "-c", "echo inside", "root"],
        "inside",
    ),
    (
        "perl",
        &["perl", "-MSocket", "-MPOSIX", "-e", "print 'ok'"],
        "ok",
    ),
    (
        "python3",
        &["python3", "-c", "import ssl, json, ctypes; print('ok')"],
        "ok",
    ),
    (
        "rescue-tools",
        &["mke2fs", "-n", "/etc/image"],
        "Creating filesystem",
    ),
    ("shell", &["bash", "-c", "echo $((6 * 7))"], "42"),
    (
        "sftp-server",
        &["/usr/lib/openssh/sftp-server", "-Q", "requests"],
        "open",
    ),
    ("ssh-client", &["ssh", "-Q", "kex"], "curve25519"),
    ("terminfo", &["tput", "-T", "xterm", "cols"], "80"),
    ("web-server", &["nginx", "-t", "-q"], ""),
];

pub(super) fn trials() -> Vec<Trial> {
    let needs = [
        Need::Command("gcc"),
        Need::Command("git"),
        Need::Command("named"),
        Need::Command("nginx"),
        Need::Command("busybox"),
        Need::File("/usr/lib/openssh/sftp-server"),
    ];
    vec![
        Trial::new(
            "jail::every_profile_runs_its_program",
            &needs,
            every_profile,
        )
        .timeout(Duration::from_secs(900)),
        Trial::new("jail::every_profile_is_in_the_table", &[], all_listed),
    ]
}

fn all_listed() {
    let run = newroot(["profile", "list"]).run();
    run.code(0);
    let tested: BTreeSet<&str> = TABLE.iter().map(|(name, _, _)| *name).collect();
    let shipped: BTreeSet<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| {
            word.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
        .collect();
    assert_eq!(tested, shipped);
}

fn every_profile() {
    for (name, argv, expected) in TABLE {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        jail(&["build", "--profile", name, "j"])
            .env("PATH", path)
            .timeout(Duration::from_secs(300))
            .run()
            .code(0);
        jail(&["check", "j"])
            .timeout(Duration::from_secs(300))
            .run()
            .code(0)
            .stdout_is("");
        std::fs::write("/tmp/j/etc/main.c", "int main(void) { return 0; }\n").unwrap();
        let image = std::fs::File::create("/tmp/j/etc/image").unwrap();
        image.set_len(8 << 20).unwrap();
        drop(image);
        let output = works("/tmp/j", argv);
        assert!(output.contains(expected), "{name}: {output}");
        jail(&["remove", "--all", "j"])
            .timeout(Duration::from_secs(300))
            .run()
            .code(0);
    }
}
