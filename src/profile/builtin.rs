//! The profiles of `profiles/`, embedded. A test checks that none is forgotten.

macro_rules! embed {
    ($($name:literal),* $(,)?) => {
        /// `(name, text)`, sorted by name.
        pub(super) const BUILT_IN: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),*];
    };
}

embed![
    "busybox",
    "certs",
    "compiler",
    "coreutils",
    "dns-server",
    "gconv",
    "git",
    "lent",
    "locale",
    "network-tools",
    "nss",
    "pam",
    "perl",
    "python3",
    "rescue-tools",
    "sftp-server",
    "shell",
    "ssh-client",
    "terminfo",
    "web-server",
];
