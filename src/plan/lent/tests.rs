use super::*;
use crate::model::Entry;
use crate::plan::Owner;

fn loader(directories: &[&str], knows_argv0: bool) -> Start {
    Start::Loader(Loader {
        path: RootPath::new("/usr/lib/ld.so"),
        is_glibc: true,
        knows_argv0,
        directories: directories.iter().map(RootPath::new).collect(),
        rpaths: Vec::new(),
    })
}

fn tool(name: &str, program: &str, start: Start) -> Tool {
    Tool {
        name: name.to_owned(),
        program: RootPath::new(program),
        start,
    }
}

fn wanted(path: &str, kind: EntryKind, target: Option<&str>) -> (RootPath, Wanted) {
    let entry = Entry {
        path: RootPath::new(path),
        kind,
        source: None,
        package: None,
        link_of: None,
        size: 0,
        mode: 0o755,
        uid: 0,
        gid: 0,
        blake3: None,
        target: target.map(|text| Text(text.as_bytes().to_vec())),
        device: None,
        why: Vec::new(),
    };
    let wanted = Wanted {
        entry,
        modified: None,
        bytes: None,
        keep_capabilities: false,
        dropped: 0,
    };
    (RootPath::new(path), wanted)
}

fn planned_newroot() -> (Source, u64) {
    let source = Source {
        path: RootPath::new("/proc/self/exe"),
        shown: HostPath::new("/usr/bin/newroot"),
    };
    (source, 8)
}

fn planned(tools: Vec<Tool>, files: Vec<(RootPath, Wanted)>) -> LentPlan {
    let facts = Facts {
        tools,
        files: files.into_iter().collect(),
        newroot: planned_newroot(),
        edited: BTreeMap::new(),
    };
    let choices = Choices {
        base: HostPath::new("/nowhere"),
        from: HostPath::new("/"),
        builder: Owner { uid: 0, gid: 0 },
        owners: false,
        nodes: false,
    };
    plan(&facts, &HostPath::new("/mnt"), &choices)
}

fn lines(plan: &LentPlan) -> String {
    plan.steps().map(|step| format!("{step}\n")).collect()
}

#[test]
fn each_tool_is_newroot_by_another_name() {
    let tools = vec![tool("ls", "/usr/bin/ls", loader(&["/usr/lib/x"], true))];
    let text = lines(&planned(tools, Vec::new()));
    let at = "/mnt/run/newroot/lent";
    for line in [
        format!("mkdir -p -m 755 {at}/root"),
        format!("cp -a --reflink=auto /usr/bin/newroot {at}/shim"),
        format!("ln {at}/shim {at}/bin/ls"),
    ] {
        assert!(text.contains(&line), "{line} in:\n{text}");
    }
}

#[test]
fn libraries_of_the_tool_come_first_then_those_of_the_others() {
    let tools = vec![
        tool(
            "a",
            "/usr/bin/a",
            loader(&["/usr/lib/x", "/usr/lib/a:b"], true),
        ),
        tool("b", "/usr/bin/b", loader(&["/usr/lib/b"], true)),
        tool("a", "/bin/other", Start::Static),
    ];
    let table = table(&tools, &BTreeMap::new());
    let path = |index: usize| table.starts[index].library_path.clone();
    let at = "/run/newroot/lent/root/usr/lib";
    assert_eq!(path(0), format!("{at}/x:{at}/b"));
    assert_eq!(path(1), format!("{at}/b:{at}/x"));
    let first = LentTool::Dynamic {
        program: "/run/newroot/lent/root/usr/bin/a".into(),
        start: 0,
    };
    assert_eq!(table.tools["a"], first);
}

#[test]
fn without_argv0_the_path_carries_the_name() {
    let tools = vec![tool("lvs", "/usr/sbin/lvm", loader(&["/usr/lib/x"], false))];
    let plan = planned(tools, Vec::new());
    let text = lines(&plan);
    let link = "ln -s ../root/usr/sbin/lvm /mnt/run/newroot/lent/names/lvs";
    assert!(text.contains(link), "{text}");
    assert!(text.contains("/run/newroot/lent/names/lvs"), "{text}");
}

#[test]
fn absolute_links_stay_among_the_lent_files() {
    let table = [
        (
            "/usr/bin/awk",
            "/etc/alternatives/awk",
            "../../etc/alternatives/awk",
        ),
        ("/lib", "/usr/lib", "usr/lib"),
        ("/a/root", "/", "../"),
        ("/usr/bin/sh", "dash", "dash"),
    ];
    for (path, target, expected) in table {
        let files = [wanted(path, EntryKind::Link, Some(target))];
        let files = inside(&files.into_iter().collect());
        let found = files[&RootPath::new(path)].entry.target.clone();
        assert_eq!(found.unwrap().shown(), expected, "{path}");
    }
}

#[test]
fn the_environment_names_what_is_lent() {
    let tools = vec![
        tool("sh", "/usr/bin/dash", Start::Static),
        tool("bash", "/usr/bin/bash", Start::Static),
    ];
    let files = vec![
        wanted("/lib/terminfo", EntryKind::Directory, None),
        wanted("/usr/lib/locale", EntryKind::Directory, None),
        wanted("/usr/lib/x/ossl-modules", EntryKind::Directory, None),
    ];
    let offer = planned(tools, files).offer;
    let value = |name: &str| {
        let found = offer.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.to_str().unwrap().to_owned())
    };
    assert!(
        value("PATH")
            .unwrap()
            .starts_with("/run/newroot/lent/bin:/usr/local/sbin")
    );
    assert_eq!(value("SHELL").unwrap(), "/run/newroot/lent/bin/bash");
    let terminfo = "/run/newroot/lent/root/lib/terminfo";
    assert_eq!(value("TERMINFO_DIRS").unwrap(), terminfo);
    assert_eq!(
        value("LOCPATH").unwrap(),
        "/run/newroot/lent/root/usr/lib/locale"
    );
    let modules = "/run/newroot/lent/root/usr/lib/x/ossl-modules";
    assert_eq!(value("OPENSSL_MODULES").unwrap(), modules);
    assert_eq!(value("MAGIC"), None);
    assert_eq!(offer.shell, ["bash", "--norc"]);
    assert_eq!(
        offer.path("sh").unwrap(),
        RootPath::new("/run/newroot/lent/bin/sh")
    );
    assert_eq!(offer.path("vi"), None);
}

#[test]
fn a_root_that_lends_no_shell_offers_none() {
    let offer = planned(Vec::new(), Vec::new()).offer;
    assert!(offer.shell.is_empty());
    assert!(!offer.environment.iter().any(|(name, _)| name == "SHELL"));
}

#[test]
fn what_would_lead_into_the_root_is_lent_changed_and_as_it_is() {
    let real = RootPath::new("/usr/lib/x/libc-2.36.so");
    let name = RootPath::new("/usr/lib/x/libc.so.6");
    let program = RootPath::new("/usr/bin/tar");
    let edited = BTreeMap::from([
        (real.clone(), BTreeSet::from([name])),
        (program.clone(), BTreeSet::from([program])),
    ]);
    let tools = [
        tool(
            "ls",
            "/usr/bin/ls",
            loader(&["/usr/lib/x", "/usr/lib/y"], true),
        ),
        tool(
            "tar",
            "/usr/bin/tar",
            loader(&["/usr/lib/x", "/usr/lib/y"], true),
        ),
    ];
    let table = table(&tools, &edited);
    let at = "/run/newroot/lent";
    assert_eq!(
        table.starts[0].library_path,
        format!("{at}/edited/usr/lib/x:{at}/root/usr/lib/x:{at}/root/usr/lib/y")
    );
    let of = |name: &str| match &table.tools[name] {
        LentTool::Dynamic { program, .. } => program.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(of("ls"), format!("{at}/root/usr/bin/ls"));
    assert_eq!(of("tar"), format!("{at}/edited/usr/bin/tar"));
    let facts = Facts {
        edited,
        tools: tools.into(),
        files: BTreeMap::new(),
        newroot: planned_newroot(),
    };
    let ops = super::edited(&facts);
    let links: Vec<_> = ops
        .iter()
        .filter_map(|op| match op {
            FileOp::Symlink { path, target } => Some((path.to_string(), target.clone())),
            _ => None,
        })
        .collect();
    let target = PathBuf::from("../../../../edited/usr/lib/x/libc-2.36.so");
    assert_eq!(links, [("/edited/usr/lib/x/libc.so.6".to_owned(), target)]);
}
