//! `check`, `update`, `add` and `remove` of a jail that exists.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::Ground;

fn built() -> Ground {
    let ground = Ground::new();
    ground.file("/data/a", "a1");
    ground.file("/data/b", "b1");
    ground.file("/data/sub/c", "c1");
    ground
        .jail(&["build", "--from", "root", "j", "/data"])
        .run()
        .code(0);
    ground
}

fn read(ground: &Ground, path: &str) -> String {
    fs::read_to_string(ground.path("j").join(path)).unwrap()
}

#[test]
fn check_says_what_differs_and_what_was_added() {
    let ground = built();
    fs::write(ground.path("j/data/a"), "edited").unwrap();
    fs::set_permissions(ground.path("j/data/b"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(ground.path("j/data/sub/c")).unwrap();
    fs::write(ground.path("j/data/added"), "").unwrap();
    let mode = fs::metadata(ground.path("root/data/b")).unwrap().mode() & 0o7777;
    ground
        .jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_is(&format!(
            "content  /data/a\nadded    /data/added\nmode     /data/b  {mode:04o} is 0600\n\
             missing  /data/sub/c\n"
        ))
        .stderr_has("3 different, 1 added")
        .stderr_has("newroot jail update j");
    let json = ground.jail(&["check", "--json", "j"]).run();
    json.code(1);
    let answer: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["differences"].as_array().unwrap().len(), 3);
    assert_eq!(answer["added"][0], "/data/added");
}

#[test]
fn update_brings_what_changed_and_leaves_what_was_edited() {
    let ground = built();
    let inode = |path: &str| fs::metadata(ground.path(path)).unwrap().ino();
    let (jail, untouched) = (inode("j"), inode("j/data/sub/c"));
    ground.file("/data/a", "a2, longer");
    ground.file("/data/b", "b2");
    ground.file("/data/new", "n");
    fs::write(ground.path("j/data/b"), "mine").unwrap();
    fs::write(ground.path("j/data/own"), "mine").unwrap();
    let dry = ground.jail(&["update", "-n", "j"]).run();
    dry.code(0).stdout_has("mv -T j/data/.a.new j/data/a");
    assert_eq!(read(&ground, "data/a"), "a1");
    ground
        .jail(&["update", "j"])
        .run()
        .code(0)
        .stderr_has("/data/b: was edited in the jail")
        .stderr_has("replaced:\n  /data/a\n");
    assert_eq!(read(&ground, "data/a"), "a2, longer");
    assert_eq!(read(&ground, "data/b"), "mine");
    assert_eq!(read(&ground, "data/own"), "mine");
    assert_eq!(read(&ground, "data/new"), "n");
    assert_eq!(inode("j"), jail, "the directory was replaced");
    assert_eq!(
        inode("j/data/sub/c"),
        untouched,
        "an unchanged file was replaced"
    );
    // What was edited is told again, by both.
    ground
        .jail(&["check", "j"])
        .run()
        .code(1)
        .stdout_is("content  /data/b\nadded    /data/own\n");
    ground
        .jail(&["update", "j"])
        .run()
        .code(0)
        .stderr_has("/data/b: was edited");
}

#[test]
fn update_takes_away_what_nobody_needs_and_nobody_changed() {
    let ground = built();
    fs::remove_dir_all(ground.path("root/data/sub")).unwrap();
    fs::remove_file(ground.path("root/data/b")).unwrap();
    fs::write(ground.path("j/data/b"), "edited").unwrap();
    ground
        .jail(&["update", "j"])
        .run()
        .code(0)
        .stderr_has("/data/b: nothing needs it any more, but it was edited");
    assert!(!ground.path("j/data/sub").try_exists().unwrap());
    assert_eq!(read(&ground, "data/b"), "edited");
    assert_eq!(read(&ground, "data/a"), "a1");
}

#[test]
fn what_stands_in_the_way_of_a_new_file_stays() {
    let ground = built();
    ground.file("/data/new", "from the source");
    fs::write(ground.path("j/data/new"), "mine").unwrap();
    ground
        .jail(&["update", "j"])
        .run()
        .code(1)
        .stderr_has("set it aside, then do this again: mv ")
        .stderr_has("/data/new: something that newroot did not make is in the way");
    assert_eq!(read(&ground, "data/new"), "mine");
}

#[test]
fn a_jail_that_is_as_it_should_be_is_left_alone() {
    let ground = built();
    ground
        .jail(&["update", "j"])
        .run()
        .code(0)
        .stderr_is("j is up to date\n");
}

#[test]
fn add_extends_the_request() {
    let ground = built();
    ground.file("/more/d", "d");
    ground.jail(&["add", "j", "/more/d"]).run().code(0);
    assert_eq!(read(&ground, "more/d"), "d");
    ground.file("/more/d", "d2");
    ground.jail(&["update", "j"]).run().code(0);
    assert_eq!(read(&ground, "more/d"), "d2");
    assert_eq!(read(&ground, "data/a"), "a1");
    ground.jail(&["check", "j"]).run().code(0);
    ground
        .jail(&["add", "j", "/no/such"])
        .run()
        .code(125)
        .stderr_has("/no/such");
}

/// `/` by other names, and a root by the name of a link to it.
#[test]
fn a_root_is_known_by_what_it_is_and_not_by_its_name() {
    let ground = Ground::new();
    let data = ground.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a"), "a").unwrap();
    let item = data.to_str().unwrap();
    for from in ["/proc/self/root", "/usr/.."] {
        // The jail lies in what it is made of: it is not copied into itself, however often.
        let jail = data.join("j");
        let dir = jail.to_str().unwrap();
        ground
            .jail(&["build", "--from", from, dir, item])
            .run()
            .code(0);
        ground.jail(&["update", dir]).run().code(0);
        let copied = super::names(&jail.join(item.trim_start_matches('/')));
        assert_eq!(copied, ["a"], "{from}");
        let again = ["add", "--from", "/", dir, item];
        ground
            .jail(&again)
            .run()
            .code(0)
            .stderr_has("is up to date");
        ground.jail(&["remove", dir]).run().code(0);
    }
    ground.file("/bin/x", "x");
    std::os::unix::fs::symlink("root", ground.path("other")).unwrap();
    ground
        .jail(&["build", "--from", "root", "root/j", "other/bin"])
        .run()
        .code(0);
    let run = ground
        .jail(&["add", "--from", "other", "root/j", "/"])
        .run();
    run.code(0);
    assert_eq!(super::names(&ground.path("root/j/bin")), ["x"]);
    assert!(!ground.path("root/j/j").try_exists().unwrap());
}

#[test]
fn remove_keeps_what_was_edited_until_all_is_said() {
    let ground = built();
    fs::write(ground.path("j/data/a"), "edited").unwrap();
    fs::write(ground.path("j/data/own"), "mine").unwrap();
    ground
        .jail(&["remove", "j"])
        .run()
        .code(0)
        .stderr_has("/data/a: was edited in the jail")
        .stderr_has("/data/own: was added after the build")
        .stderr_has("newroot jail remove --all j");
    assert_eq!(read(&ground, "data/a"), "edited");
    assert!(!ground.path("j/data/b").try_exists().unwrap());
    ground
        .jail(&["remove", "--all", "j"])
        .run()
        .code(0)
        .stderr_is("j is gone\n");
    assert_eq!(ground.names(), ["root", "run"]);
}

#[test]
fn remove_takes_an_unchanged_jail_away_and_refuses_what_is_none() {
    let ground = built();
    ground
        .jail(&["remove", "j"])
        .run()
        .code(0)
        .stderr_is("j is gone\n");
    assert_eq!(ground.names(), ["root", "run"]);
    ground
        .jail(&["remove", "root"])
        .run()
        .code(125)
        .stderr_has("it is no jail of newroot's");
    ground
        .jail(&["check", "j"])
        .run()
        .code(125)
        .stderr_has("it does not exist");
    assert!(ground.path("root/data/a").try_exists().unwrap());
}

#[test]
fn a_damaged_manifest_changes_nothing_and_says_how_to_build_it_again() {
    let ground = built();
    let path = ground.path("j/.newroot/manifest.json");
    let whole = fs::read_to_string(&path).unwrap();
    let from = ground.path("root");
    let again = format!("newroot jail build --from {} j /data", from.display());
    let cut = &whole[..whole.len() - 100];
    let other = whole.replace("\"version\": 1", "\"version\": 9");
    for (text, hint) in [
        (cut, again.as_str()),
        (other.as_str(), again.as_str()),
        ("", "newroot jail build j PROGRAM"),
        ("[1]", "newroot jail build j PROGRAM"),
    ] {
        fs::write(&path, text).unwrap();
        for words in [
            &["check", "j"][..],
            &["show", "j"],
            &["update", "j"],
            &["add", "j", "/data/a"],
            &["remove", "j"],
            &["remove", "--all", "j"],
        ] {
            ground
                .jail(words)
                .run()
                .code(125)
                .stderr_has("nothing was changed")
                .stderr_has("mv j j.old")
                .stderr_has(hint);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(read(&ground, "data/a"), "a1");
    }
    fs::rename(ground.path("j"), ground.path("j.old")).unwrap();
    let words: Vec<&str> = again.split(' ').skip(2).collect();
    ground.jail(&words).run().code(0);
    ground.jail(&["check", "j"]).run().code(0);
}

#[test]
fn remove_names_who_works_there() {
    let ground = built();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .current_dir(ground.path("j/data"))
        .spawn()
        .unwrap();
    let run = ground.jail(&["remove", "j"]).run();
    child.kill().unwrap();
    child.wait().unwrap();
    run.code(125)
        .stderr_has("it is in use")
        .stderr_has(&format!("sleep, pid {}", child.id()));
    assert_eq!(read(&ground, "data/a"), "a1");
}
