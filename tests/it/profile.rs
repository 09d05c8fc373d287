//! `newroot profile` as a user meets it, the man page against the parser, and what the shipped
//! profiles promise.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use newroot::profile::{Library, known_keys};
use newroot::root::{Host, Mem};

use crate::support::newroot;
use crate::support::run::Run;

/// A user whose configuration directory is `config`; nothing else of this machine's matters.
fn profile(config: &Path, args: &[&str]) -> Run {
    newroot([&["profile"], args].concat()).env("XDG_CONFIG_HOME", config)
}

fn configuration(files: &[(&str, &str)]) -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    let directory = base.path().join("newroot/profiles");
    fs::create_dir_all(&directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    base
}

/// The names the issue asks for.
const SHIPPED: [&str; 19] = [
    "busybox",
    "certs",
    "compiler",
    "coreutils",
    "dns-server",
    "gconv",
    "git",
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

#[test]
fn the_list_shows_where_each_comes_from() {
    let config = configuration(&[
        ("mine.toml", "description = \"my own\""),
        ("shell.toml", "description = \"another shell\""),
    ]);
    let output = profile(config.path(), &["list"]).run();
    output.code(0).stderr_is("");
    let rows: Vec<Vec<&str>> = output
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "FROM", "DESCRIPTION"]);
    let from = |name: &str| rows.iter().find(|row| row[0] == name).map(|row| row[1]);
    assert_eq!(from("mine"), Some("user"));
    assert_eq!(from("shell"), Some("user"));
    for name in SHIPPED {
        assert!(from(name).is_some(), "{name}");
    }
    output.stdout_has("mine           user      my own\n");
}

#[test]
fn the_list_as_json() {
    let config = configuration(&[("mine.toml", "description = \"my own\"")]);
    let output = profile(config.path(), &["list", "--json"]).run();
    output.code(0).stderr_is("");
    let parsed: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let rows = parsed["profiles"].as_array().unwrap();
    let mine = rows.iter().find(|row| row["name"] == "mine").unwrap();
    let path = config.path().join("newroot/profiles/mine.toml");
    assert_eq!(mine["from"], "user");
    assert_eq!(mine["path"], path.to_str().unwrap());
    assert_eq!(mine["description"], "my own");
    assert!(mine["error"].is_null());
    assert!(rows.len() > SHIPPED.len());
}

#[test]
fn a_wrong_profile_is_listed_with_a_warning() {
    let config = configuration(&[
        ("bad.toml", "programms = []"),
        ("raw.toml", "x = \"\u{1b}[2J"),
    ]);
    let output = profile(config.path(), &["list"]).run();
    output
        .code(0)
        .stdout_has("bad            user      (cannot be used)\n");
    output.stderr_has("newroot: warning: profile bad: ");
    output.stderr_has("did you mean `programs`?");
    assert!(!output.stderr.contains('\u{1b}'), "{}", output.stderr);
}

#[test]
fn show_prints_the_text_as_it_is_and_v_what_it_comes_to() {
    let text = "# a comment\tand a tab\ninclude = [\"busybox\"]\nprograms = [\"true\"]\n";
    let config = configuration(&[("mine.toml", text)]);
    profile(config.path(), &["show", "mine"])
        .run()
        .code(0)
        .stdout_is(text)
        .stderr_is("");
    profile(config.path(), &["show", "-v", "mine"])
        .run()
        .code(0)
        .stdout_is(
            "# merged from \"busybox\", \"mine\"\nprograms = [\n    \"busybox\",\n    \
             \"true\",\n]\napplets_of = [\n    \"busybox\",\n]\ncommand = [\"busybox\", \"sh\"]\n",
        );
    // A path counts from the working directory.
    profile(config.path(), &["show", "profiles/mine.toml"])
        .cwd(config.path().join("newroot"))
        .run()
        .code(0)
        .stdout_is(text);
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    let config = configuration(&[]);
    profile(config.path(), &["show", "pyton3"])
        .run()
        .code(125)
        .stdout_is("")
        .stderr_is(
            "newroot: cannot use profile pyton3: there is none of that name\n\
             hint: did you mean python3:            newroot profile show python3\n\
             hint: the profiles there are:          newroot profile list\n",
        );
}

#[test]
fn errors_name_line_column_and_chain() {
    let config = configuration(&[
        ("wrong.toml", "# mine\nprogramms = [\"bash\"]\n"),
        ("outer.toml", "include = [\"inner\"]"),
        ("inner.toml", "include = [\"absent\"]"),
        ("one.toml", "include = [\"two\"]"),
        ("two.toml", "include = [\"one\"]"),
    ]);
    let file = config.path().join("newroot/profiles/wrong.toml");
    profile(config.path(), &["show", "-v", "wrong"])
        .run()
        .code(125)
        .stderr_is(&format!(
            "newroot: cannot use profile wrong: {}:2:1: unknown key `programms`\n  \
             2 | programms = [\"bash\"]\n    | ^^^^^^^^^\n    = did you mean `programs`?\n\
             hint: every key and its meaning:       man 5 newroot-profile\n",
            file.display()
        ));
    profile(config.path(), &["show", "-v", "outer"])
        .run()
        .code(125)
        .stderr_has("outer includes inner includes absent, and there is none");
    profile(config.path(), &["show", "-v", "one"])
        .run()
        .code(125)
        .stderr_has("one includes two includes one");
}

#[test]
fn the_man_page_has_every_key() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/newroot-profile.5");
    let page = fs::read_to_string(page).unwrap();
    for key in known_keys() {
        assert!(page.contains(&format!(".It Ic {key}\n")), "{key}");
    }
    for field in ["path", "mode", "owner", "group"] {
        assert!(page.contains(&format!("\n.Ic {field}")), "{field}");
    }
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Ic "));
    for item in items {
        assert!(known_keys().any(|key| key == item), "{item} does not exist");
    }
}

#[test]
fn the_man_page_s_example_is_a_profile() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/newroot-profile.5");
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page
        .split_once(".Bd -literal -offset indent\ndescription")
        .unwrap();
    let (body, _) = rest.split_once("\n.Ed").unwrap();
    let profile = newroot::profile::parse(&format!("description{body}"), "geo.toml").unwrap();
    assert_eq!(profile.users, ["geo"]);
    assert_eq!(profile.directories.len(), 2);
}

/// On this machine, whatever it is: every glob of every shipped profile can be expanded, and
/// nothing it brings is a secret.
#[test]
fn shipped_profiles_bring_no_secret() {
    let nothing = Mem::new();
    let library = Library::new(&nothing, None::<&OsStr>, None, Path::new("/"));
    let mut seen = 0;
    for name in SHIPPED {
        let profile = library.load(name).unwrap();
        let patterns = |list: &[String]| -> Vec<newroot::profile::Pattern> {
            let compiled = list.iter().map(|text| newroot::profile::Pattern::new(text));
            compiled.collect::<Result<_, _>>().unwrap()
        };
        let exclude = patterns(&profile.exclude);
        for pattern in patterns(&[profile.files, profile.optional_files].concat()) {
            for path in pattern.expand(&Host).unwrap() {
                seen += 1;
                if exclude.iter().any(|exclude| exclude.covers(&path)) {
                    continue;
                }
                let text = path.to_string();
                for secret in ["/etc/shadow", "/etc/gshadow", "/etc/ssl/private"] {
                    assert!(!text.starts_with(secret), "{name}: {text}");
                }
                assert!(!text.ends_with("_key"), "{name}: {text}");
            }
        }
    }
    assert!(seen > 10, "no profile found anything here: {seen}");
}
