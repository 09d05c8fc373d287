//! Tables: every key, the exact text of errors, and what is refused.

use super::*;

fn shown(text: &str) -> String {
    parse(text, "/etc/newroot/profiles/x.toml")
        .unwrap_err()
        .to_string()
}

#[test]
fn every_key_is_read() {
    let text = r##"
        description = "a name server"
        include = ["nss", "./more.toml"]
        programs = ["named", "/usr/sbin/rndc"]
        optional_programs = ["dig"]
        applets_of = ["busybox"]
        packages = ["bind9", "libc6:i386"]
        optional_packages = ["dns-root-data"]
        files = ["/etc/bind"]
        optional_files = ["/usr/lib/*/bind/*.so"]
        exclude = ["/usr/share/**/doc"]
        directories = ["/run/named", { path = "/d", mode = "0775", owner = "root", group = "bind" }]
        symlinks = { "/etc/localtime" = "/usr/share/zoneinfo/UTC" }
        users = ["bind"]
        devices = ["/dev/net/tun"]
        environment = { LANG = "C.UTF-8" }
        command = ["named", "-g"]
        binds = ["/srv/zones:/zones:ro"]
        keep_privileges = true
    "##;
    let profile = parse(text, "/a/dns-server.toml").unwrap();
    for key in known_keys() {
        assert!(text.contains(&format!(" {key} = ")), "{key} is not tested");
    }
    let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let want = Profile {
        name: "dns-server".to_string(),
        description: "a name server".to_string(),
        include: words(&["nss", "./more.toml"]),
        programs: words(&["named", "/usr/sbin/rndc"]),
        optional_programs: words(&["dig"]),
        applets_of: words(&["busybox"]),
        packages: words(&["bind9", "libc6:i386"]),
        optional_packages: words(&["dns-root-data"]),
        files: words(&["/etc/bind"]),
        optional_files: words(&["/usr/lib/*/bind/*.so"]),
        exclude: words(&["/usr/share/**/doc"]),
        directories: vec![
            Directory {
                path: RootPath::new("/run/named"),
                mode: 0o755,
                owner: None,
                group: None,
            },
            Directory {
                path: RootPath::new("/d"),
                mode: 0o775,
                owner: Some("root".to_string()),
                group: Some("bind".to_string()),
            },
        ],
        symlinks: vec![Link {
            path: RootPath::new("/etc/localtime"),
            target: PathBuf::from("/usr/share/zoneinfo/UTC"),
        }],
        users: words(&["bind"]),
        devices: words(&["/dev/net/tun"]),
        environment: [("LANG".to_string(), "C.UTF-8".to_string())].into(),
        command: words(&["named", "-g"]),
        binds: vec!["/srv/zones:/zones:ro".parse().unwrap()],
        keep_privileges: true,
    };
    assert_eq!(profile, want);
}

#[test]
fn an_error_shows_the_place_the_line_and_the_way_out() {
    let table = [
        (
            "# mine\nprogramms = [\"bash\"]\n",
            r#":2:1: unknown key `programms`
  2 | programms = ["bash"]
    | ^^^^^^^^^
    = did you mean `programs`?"#,
        ),
        (
            "programs = \"bash\"",
            r#":1:12: `programs` must be a list, not a string
  1 | programs = "bash"
    |            ^^^^^^
    = write programs = ["bash"]"#,
        ),
        (
            "files = [\n  \"/etc/motd\",\n\t\"etc/issue\",\n]",
            r#":3:2: `etc/issue` must be an absolute path, as seen inside the root
  3 |  "etc/issue",
    |  ^^^^^^^^^^^"#,
        ),
        (
            "[[directories]]\npath = \"/x\"\nmode = 755",
            r#":3:8: `mode` must be octal, this is decimal
  3 | mode = 755
    |        ^^^
    = write mode = "0755""#,
        ),
        (
            "command = \"named -g\"",
            r#":1:11: `command` must be a list, not a string
  1 | command = "named -g"
    |           ^^^^^^^^^^
    = write command = ["named", "-g"]"#,
        ),
        (
            "binds = [\"/srv:/srv:wo\"]",
            r#":1:10: `/srv:/srv:wo` ends in `wo`: SRC[:DST[:ro]] knows `ro` and `rw` only
  1 | binds = ["/srv:/srv:wo"]
    |          ^^^^^^^^^^^^^^"#,
        ),
        (
            "[environment]\nTERM = 1",
            r#":2:8: `TERM` must be a string, not a number
  2 | TERM = 1
    |        ^
    = write "1""#,
        ),
        (
            "programs = [\"a\"",
            r#":1:16: unclosed array, expected `]`
  1 | programs = ["a"
    |                ^"#,
        ),
    ];
    for (text, want) in table {
        assert_eq!(shown(text), format!("/etc/newroot/profiles/x.toml{want}"));
    }
}

#[test]
fn bad_values_are_refused_with_a_reason() {
    let table = [
        (r#"files = ["/a/../b"]"#, "`/a/../b` must not contain `..`"),
        (r#"files = ["/"]"#, "`/` is the root itself"),
        (r#"files = ["/a[b"]"#, "`/a[b` has a `[` without its `]`"),
        (
            r#"files = ["/a\u0007"]"#,
            "`/a\u{7}` must not contain control",
        ),
        (
            "programs = [1]",
            "`programs` is a list of strings; this is a number",
        ),
        (
            r#"programs = ["bin/x"]"#,
            "`bin/x` must be an absolute path",
        ),
        (r#"programs = [""]"#, "`` must not be empty"),
        (
            r#"packages = ["a b"]"#,
            "`a b` is no package name: it contains ' '",
        ),
        (
            r#"users = ["a:b"]"#,
            "`a:b` is no user name: it contains ':'",
        ),
        (r#"devices = ["/etc/x"]"#, "`/etc/x` must be below /dev"),
        (
            "keep_privileges = 1",
            "`keep_privileges` must be true or false, not a number",
        ),
        (
            r#"directories = [{ mode = "0700" }]"#,
            "a directory needs a `path`",
        ),
        (
            r#"directories = [{ path = "/x", mod = "0700" }]"#,
            "unknown key `mod`",
        ),
        (
            r#"directories = [{ path = "/x", mode = "0888" }]"#,
            "`0888` must be permission",
        ),
        (
            r#"directories = [{ path = "/x", mode = 0o17777 }]"#,
            "`17777` must be permission",
        ),
        (
            r#"symlinks = ["/a"]"#,
            "`symlinks` must be a table, not a list",
        ),
        (r#"symlinks = { a = "b" }"#, "`a` must be an absolute path"),
        (
            r#"environment = { "A=B" = "" }"#,
            "`A=B` must not contain `=`",
        ),
        (
            r#"command = [""]"#,
            "the program of `command` must not be empty",
        ),
        (
            r#"description = ["x"]"#,
            "`description` must be a string, not a list",
        ),
        ("[run]\nnet = true", "unknown key `run`"),
        ("programs = []\nprograms = []", "duplicate key"),
    ];
    for (text, want) in table {
        let error = parse(text, "x.toml").unwrap_err();
        assert!(error.message.starts_with(want), "{text}: {}", error.message);
    }
}

#[test]
fn the_topmost_fault_is_the_one_shown() {
    let error = parse("users = [1]\ndevices = [2]\nabc = 3", "x").unwrap_err();
    assert_eq!((error.line, error.column), (1, 10));
}

#[test]
fn hostile_text_ends_in_an_error_and_not_in_the_stack() {
    for text in [
        "[".repeat(100_000),
        "a=".repeat(9999),
        format!("x = {}", "[".repeat(99_999)),
        format!("x = {}", "{a=".repeat(99_999)),
        format!("{}x = 1", "a.".repeat(99_999)),
    ] {
        assert!(parse(&text, "x").is_err());
    }
}
