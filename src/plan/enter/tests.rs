use super::*;
use crate::plan::script;

fn facts() -> Facts {
    let names = ["bin", "dev", "etc", "proc", "run", "sys", "usr"];
    Facts {
        root: HostPath::new("/mnt"),
        entries: names
            .iter()
            .map(|name| (OsString::from(name), Entry::Directory))
            .collect(),
        host_links: vec![(OsString::from("lib64"), PathBuf::from("usr/lib64"))],
        privileged: true,
        udev: true,
        efi_variables: false,
        resolver: Resolver::Cover { link: false },
        shell_can_pivot: true,
        mode: Mode::Pivot,
        devices: Devices::Host,
        writable_sys: false,
        binds: Vec::new(),
        lent: None,
        rescue: None,
        command: Command {
            program: b"/bin/sh".to_vec(),
            arguments: vec!["sh".into()],
            directory: "/".into(),
            ..Command::default()
        },
    }
}

fn bind(source: &str, target: &str, target_kind: Option<Kind>) -> Bind {
    Bind {
        source: HostPath::new(source),
        source_kind: Kind::Directory,
        target: RootPath::new(target),
        target_kind,
        read_only: false,
    }
}

#[test]
fn an_ordinary_root_gets_five_mounts_and_is_not_written() {
    let plan = plan(&facts()).unwrap();
    assert_eq!(
        script(&plan.steps),
        "unshare --mount --propagation slave --pid --fork --kill-child sh -e /dev/fd/3 3<<'newroot'
mount --rbind /mnt /mnt
mount --make-rprivate /mnt
mount -t proc -o nosuid,nodev,noexec proc /mnt/proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /mnt/sys
mount --rbind /dev /mnt/dev
mount --make-rslave /mnt/dev
mount -t tmpfs -o nosuid,nodev,mode=755 newroot /mnt/run
mkdir -p -m 1777 /mnt/run/lock
mkdir -p -m 755 /mnt/run/udev
mount --bind /run/udev /mnt/run/udev
mount -o remount,bind,ro /mnt/run/udev
mount --bind /etc/resolv.conf /mnt/etc/resolv.conf
cd /mnt
pivot_root . .
# newroot unmounts the old root mount by mount; a shell stands on it
umount -l .
cd /
exec env -i /bin/sh
newroot
"
    );
    assert!(plan.notes.is_empty());
}

#[test]
fn a_link_where_a_mount_point_should_be_is_never_mounted_on() {
    let mut facts = facts();
    facts.entries[3].1 = Entry::Link(PathBuf::from("/etc"));
    let text = script(&plan(&facts).unwrap().steps);
    assert!(text.contains("mount -t tmpfs -o nosuid,nodev,mode=755 newroot /mnt\n"));
    assert!(text.contains("mkdir -p -m 755 /mnt/proc\n"));
    assert!(text.contains("mount --rbind /proc/self/fd/4/etc /mnt/etc\n"));
    assert!(!text.contains("ln -s /etc /mnt/proc"));
}

#[test]
fn an_empty_directory_with_the_hosts_usr_gets_the_links_of_a_merged_usr() {
    let mut facts = facts();
    facts.entries.clear();
    facts.binds = vec![bind("/usr", "/usr", None)];
    let text = script(&plan(&facts).unwrap().steps);
    assert!(text.contains("ln -s usr/lib64 /mnt/lib64\n"), "{text}");
    assert!(text.contains("mkdir -p -m 755 /mnt/usr\nmount --rbind /usr /mnt/usr\n"));
    // What is bound there as well is no link.
    facts.binds.push(bind("/usr/lib64", "/lib64", None));
    let text = script(&plan(&facts).unwrap().steps);
    assert!(!text.contains("ln -s"), "{text}");
    assert!(text.contains("mkdir -p -m 755 /mnt/lib64\n"), "{text}");
}

#[test]
fn a_bind_is_only_made_a_mount_point_in_what_is_ours() {
    let mut facts = facts();
    facts.binds = vec![bind("/srv", "/etc/new", None)];
    let error = plan(&facts).unwrap_err();
    assert_eq!(error, PlanError::NoTarget(RootPath::new("/etc/new")));
    facts.binds = vec![bind("/srv", "/run/a/b", None)];
    let text = script(&plan(&facts).unwrap().steps);
    assert!(text.contains("mkdir -p -m 755 /mnt/run/a\nmkdir -p -m 755 /mnt/run/a/b\n"));
    facts.binds = vec![bind("/srv", "/opt/a", None)];
    let text = script(&plan(&facts).unwrap().steps);
    assert!(text.contains("mkdir -p -m 755 /mnt/opt\nmkdir -p -m 755 /mnt/opt/a\n"));
    facts.binds = vec![bind("/srv", "/etc/passwd", Some(Kind::File))];
    assert!(matches!(plan(&facts), Err(PlanError::OnFile(..))));
    facts.binds = vec![Bind {
        source_kind: Kind::File,
        ..bind("/srv/a", "/etc", Some(Kind::Directory))
    }];
    assert!(matches!(plan(&facts), Err(PlanError::OnDirectory(..))));
}

#[test]
fn a_user_gets_the_hosts_nodes_bound_and_no_group() {
    let mut facts = facts();
    facts.privileged = false;
    facts.devices = Devices::Minimal;
    let text = script(&plan(&facts).unwrap().steps);
    assert!(text.contains("unshare --user --map-root-user --mount"));
    assert!(text.contains("mount --bind /dev/null /mnt/dev/null\n"));
    assert!(!text.contains("gid=5"));
    assert!(!text.contains("mknod"));
    assert!(text.contains("mount -o remount,bind,ro /mnt/sys\n"));
}

#[test]
fn a_bind_over_a_mount_point_of_ours_replaces_it() {
    let mut facts = facts();
    facts.binds = vec![bind("/run", "/run", Some(Kind::Directory))];
    let text = script(&plan(&facts).unwrap().steps);
    assert!(!text.contains("newroot /mnt/run"));
    assert!(text.contains("mount --rbind /run /mnt/run\n"));
}
