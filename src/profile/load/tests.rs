//! Search order, includes, and the errors that name the chain.

use super::*;
use crate::root::Mem;

fn library(tree: &Mem) -> Library<'_> {
    let home = Some(OsStr::new("/home/me"));
    Library::new(tree, None, home, Path::new("/work"))
}

fn etc(name: &str, text: &str, tree: Mem) -> Mem {
    tree.with_file(&format!("/etc/newroot/profiles/{name}.toml"), text)
}

#[test]
fn the_user_wins_over_etc_and_etc_over_the_shipped_one() {
    let user = "/home/me/.config/newroot/profiles/shell.toml";
    let none = Mem::new();
    let origin = |tree: &Mem| library(tree).source("shell").unwrap().origin;
    assert_eq!(origin(&none), Origin::BuiltIn("shell"));
    let system = etc("shell", "", none);
    assert_eq!(
        origin(&system),
        Origin::System(RootPath::new("/etc/newroot/profiles/shell.toml"))
    );
    let both = system.with_file(user, "");
    assert_eq!(origin(&both), Origin::User(RootPath::new(user)));
    assert_eq!(origin(&both).word(), "user");
}

#[test]
fn the_configuration_directory_is_the_environments() {
    let tree = Mem::new().with_file("/cfg/newroot/profiles/a.toml", "");
    let find = |config: Option<&str>, home: Option<&str>| {
        let library = Library::new(
            &tree,
            config.map(OsStr::new),
            home.map(OsStr::new),
            Path::new("/"),
        );
        library.source("a").is_ok()
    };
    assert!(find(Some("/cfg"), Some("/home/me")));
    assert!(!find(None, Some("/home/me")));
    // Relative values must be ignored.
    assert!(!find(Some("cfg"), None));
    assert!(!find(None, None));
}

#[test]
fn a_path_is_a_file_and_counts_from_the_working_directory() {
    let tree = Mem::new()
        .with_file("/work/mine.toml", "include = [\"./sub/b.toml\"]")
        .with_file(
            "/work/sub/b.toml",
            "include = [\"c.toml\"]\nusers = [\"b\"]",
        )
        .with_file("/work/sub/c.toml", "users = [\"c\"]");
    let library = library(&tree);
    for name in ["mine.toml", "./mine.toml", "/work/mine.toml"] {
        let profile = library.load(name).unwrap();
        assert_eq!(profile.users, ["c", "b"], "{name}");
        assert_eq!(profile.name, "mine");
        assert_eq!(profile.include, ["c", "b", "mine"]);
    }
    assert!(matches!(
        library.load("mine"),
        Err(LoadError::NotFound { .. })
    ));
}

#[test]
fn what_is_included_twice_is_merged_once_and_the_includer_has_the_last_word() {
    let tree = etc(
        "base",
        "programs = [\"base\"]\ncommand = [\"base\"]\nenvironment = { A = \"base\" }",
        Mem::new(),
    );
    let tree = etc("left", "include = [\"base\"]\ncommand = [\"left\"]", tree);
    let tree = etc("right", "include = [\"base\"]", tree);
    let tree = etc(
        "top",
        "description = \"top\"\ninclude = [\"left\", \"right\"]\nenvironment = { A = \"top\" }",
        tree,
    );
    let profile = library(&tree).load("top").unwrap();
    assert_eq!(profile.programs, ["base"]);
    // Were base merged again through right, its command would come after left's.
    assert_eq!(profile.command, ["left"]);
    assert_eq!(profile.environment["A"], "top");
    assert_eq!(profile.description, "top");
    assert_eq!(profile.include, ["base", "left", "right", "top"]);
}

#[test]
fn several_profiles_share_their_includes() {
    let tree = etc("base", "command = [\"base\"]", Mem::new());
    let tree = etc("a", "include = [\"base\"]\ncommand = [\"a\"]", tree);
    let tree = etc(
        "b",
        "description = \"b\"\ninclude = [\"base\"]\nusers = [\"b\"]",
        tree,
    );
    let names = ["a".to_string(), "b".to_string()];
    let profile = library(&tree).load_all(&names).unwrap();
    assert_eq!(profile.command, ["a"]);
    assert_eq!(
        (profile.name.as_str(), profile.description.as_str()),
        ("a", "")
    );
    assert_eq!(profile.users, ["b"]);
    assert_eq!(library(&tree).load_all(&[]).unwrap(), Profile::default());
}

#[test]
fn a_profile_may_add_to_the_one_it_replaces() {
    let tree = etc(
        "shell",
        "include = [\"shell\"]\nprograms = [\"/etc/added\"]",
        Mem::new(),
    );
    let tree = tree.with_file(
        "/home/me/.config/newroot/profiles/shell.toml",
        "include = [\"shell\"]\nprograms = [\"/user/added\"]",
    );
    let profile = library(&tree).load("shell").unwrap();
    let count = profile.programs.len();
    assert!(count > 2, "the shipped one takes part: {profile:?}");
    assert_eq!(profile.programs[count - 2..], ["/etc/added", "/user/added"]);
}

#[test]
fn errors_name_the_chain() {
    let tree = etc("a", "include = [\"b\"]", Mem::new());
    let tree = etc("b", "include = [\"c\"]", tree);
    let tree = etc("c", "include = [\"a\"]", tree);
    let tree = etc("lost", "include = [\"lost2\"]", tree);
    let tree = etc("lost2", "include = [\"shel\"]", tree);
    let tree = etc("own", "include = [\"own\"]", tree);
    let tree = etc("wrong", "include = [\"broken\"]", tree);
    let tree = etc("broken", "file = []", tree);
    let tree = tree.with_file("/etc/newroot/profiles/latin.toml", b"# \xe9".to_vec());
    let tree = tree.with_file("/etc/newroot/profiles/huge.toml", vec![b' '; LIMIT + 1]);
    let table = [
        ("b", "profiles include each other: b -> c -> a -> b"),
        ("lost", "no profile shel (included by lost -> lost2)"),
        ("own", "no profile own (included by own)"),
        (
            "wrong",
            "/etc/newroot/profiles/broken.toml:1:1: unknown key `file`\n  1 | file = []\n    | \
             ^^^^\n    = did you mean `files`?",
        ),
        (
            "latin",
            "cannot read /etc/newroot/profiles/latin.toml: Invalid or incomplete multibyte or \
             wide character (os error 84)",
        ),
        (
            "huge",
            "cannot read /etc/newroot/profiles/huge.toml: File too large (os error 27)",
        ),
        ("./gone.toml", "no profile ./gone.toml"),
    ];
    for (name, want) in table {
        assert_eq!(library(&tree).load(name).unwrap_err().to_string(), want);
    }
    let Err(LoadError::NotFound { nearest, .. }) = library(&tree).load("lost") else {
        panic!("not found is not the error");
    };
    assert_eq!(nearest.as_deref(), Some("shell"));
}

#[test]
fn a_chain_without_end_ends() {
    let mut tree = Mem::new();
    for index in 0..100 {
        let text = format!("include = [\"p{}\"]", index + 1);
        tree = etc(&format!("p{index}"), &text, tree);
    }
    let error = library(&tree).load("p0").unwrap_err();
    assert!(matches!(error, LoadError::TooDeep { .. }), "{error}");
}

#[test]
fn the_list_has_every_name_once() {
    let tree = etc("shell", "", etc("zz", "", Mem::new()));
    let tree = tree
        .with_file("/etc/newroot/profiles/README", "")
        .with_file("/etc/newroot/profiles/.toml", "");
    let names = library(&tree).names().unwrap();
    assert_eq!(names.len(), BUILT_IN.len() + 1, "{names:?}");
    assert!(names.contains("zz") && names.contains("shell"));
}

#[test]
fn every_shipped_profile_is_embedded_and_loads() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    let embedded: Vec<String> = BUILT_IN.iter().map(|(n, _)| format!("{n}.toml")).collect();
    assert_eq!(embedded, files);
    let nothing = Mem::new();
    for (name, _) in BUILT_IN {
        let profile = library(&nothing)
            .load(name)
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(!profile.description.is_empty(), "{name} has no description");
    }
}
