//! Is this tree an installed system? Several facts are counted, none is required: a broken system
//! lacks some, and a data disk has some by chance.

use super::osrelease::{self, OsRelease};
use super::{arch, crypttab, fstab};
use crate::model::{Kind, RootPath};
use crate::root::{self, Tree};

/// The most that is read of a file in /etc.
const MOST_BYTES: usize = 16 << 20;
/// From this score on a tree is a system.
pub const ENOUGH: u32 = 5;

/// A thing that speaks for a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// os-release, or one of the older release files.
    Release,
    /// /etc, /bin, and fstab or hosts.
    Layout,
    /// A dynamic loader.
    Loader,
    /// An init program.
    Init,
    /// A package manager's database.
    Packages,
    /// NixOS' marks.
    NixOs,
    /// Its fstab puts /usr elsewhere: most of the other marks lie there.
    UsrApart,
    /// Its fstab names the filesystem that it lies on as `/`.
    FstabNamesIt,
}

impl Evidence {
    fn weight(self) -> u32 {
        match self {
            Self::Release => 4,
            Self::NixOs => 5,
            Self::Layout | Self::FstabNamesIt => 3,
            Self::Init | Self::UsrApart => 2,
            Self::Loader | Self::Packages => 1,
        }
    }

    /// For `--json` and `-v`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Release => "os-release",
            Self::Layout => "layout",
            Self::Loader => "loader",
            Self::Init => "init",
            Self::Packages => "packages",
            Self::NixOs => "nixos",
            Self::UsrApart => "separate-usr",
            Self::FstabNamesIt => "fstab",
        }
    }
}

/// What a tree says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootFacts {
    /// What speaks for it.
    pub evidence: Vec<Evidence>,
    /// What it calls itself; id `linux` when it does not say.
    pub os: OsRelease,
    /// The architecture of its programs.
    pub arch: Option<&'static str>,
    /// Its name in the network.
    pub hostname: Option<String>,
    /// /etc/machine-id
    pub machine_id: Option<String>,
    /// /etc/fstab
    pub fstab: fstab::Fstab,
    /// /etc/crypttab
    pub crypttab: Vec<crypttab::Entry>,
}

impl RootFacts {
    /// The sum of what speaks for it.
    #[must_use]
    pub fn score(&self) -> u32 {
        self.evidence.iter().map(|evidence| evidence.weight()).sum()
    }

    /// Whether it is an installed system. `etc` with a file or two is not enough, and neither is
    /// an os-release alone (a `/usr` has one).
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.score() >= ENOUGH
    }

    /// Whether its fstab puts /usr on a filesystem of its own.
    #[must_use]
    pub fn has_separate_usr(&self) -> bool {
        self.fstab.at("/usr").is_some()
    }
}

/// Reads what there is to read.
#[must_use]
pub fn judge(tree: &dyn Tree) -> RootFacts {
    let release = release(tree);
    let fstab = fstab::parse(&read(tree, "/etc/fstab"));
    let mut evidence = Vec::new();
    let mut found = |what, yes: bool| {
        if yes {
            evidence.push(what);
        }
    };
    found(Evidence::Release, release.is_some());
    found(Evidence::Layout, has_layout(tree));
    found(Evidence::Loader, has_loader(tree));
    found(Evidence::Init, any(tree, INITS));
    found(Evidence::Packages, any(tree, PACKAGES));
    found(
        Evidence::NixOs,
        any(tree, &["/etc/NIXOS"]) && is_dir(tree, "/nix/store"),
    );
    found(Evidence::UsrApart, fstab.at("/usr").is_some());
    RootFacts {
        evidence,
        os: release.unwrap_or_else(|| OsRelease {
            id: "linux".to_string(),
            ..OsRelease::default()
        }),
        arch: arch::of_root(tree),
        hostname: hostname(tree),
        machine_id: machine_id(tree),
        fstab,
        crypttab: crypttab::parse(&read(tree, "/etc/crypttab")),
    }
}

const INITS: &[&str] = &[
    "/sbin/init",
    "/usr/sbin/init",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/usr/bin/init",
    "/bin/init",
    "/sbin/openrc-init",
    "/usr/bin/runit-init",
];

const PACKAGES: &[&str] = &[
    "/var/lib/dpkg/status",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/usr/share/rpm",
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
    "/usr/lib/apk/db/installed",
    "/var/db/pkg",
    "/var/db/xbps",
    "/var/lib/pkgtools",
    "/nix/var/nix/db",
];

/// What libguestfs asks of a root: /etc, /bin (a link counts, even to a /usr that is not
/// mounted), and an fstab or hosts.
fn has_layout(tree: &dyn Tree) -> bool {
    let bin = tree.lstat(&RootPath::new("/bin"));
    is_dir(tree, "/etc")
        && bin.is_ok_and(|meta| matches!(meta.kind, Kind::Directory | Kind::Link))
        && any(tree, &["/etc/fstab", "/etc/hosts"])
}

fn has_loader(tree: &dyn Tree) -> bool {
    ["/lib64", "/lib", "/usr/lib64", "/usr/lib", "/lib32"]
        .iter()
        .any(|place| {
            let names = tree.list(&RootPath::new(place)).unwrap_or_default();
            names.iter().any(|name| {
                let name = name.to_string_lossy();
                ["ld-linux", "ld-musl", "ld64.so", "ld.so.1"]
                    .iter()
                    .any(|mark| name.starts_with(mark))
            })
        })
}

fn release(tree: &dyn Tree) -> Option<OsRelease> {
    ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| osrelease::parse(&read(tree, path)))
        .or_else(|| {
            osrelease::OLD_FILES
                .iter()
                .map(|(path, name)| (name, read(tree, path)))
                .find(|(_, text)| !text.is_empty())
                .map(|(name, text)| osrelease::parse_old(name, &text))
        })
        .map(|release| with_point_release(tree, release))
}

/// Debian keeps its point release in another file: 12.9 where os-release says 12.
fn with_point_release(tree: &dyn Tree, mut release: OsRelease) -> OsRelease {
    if release.id == "debian" {
        let text = read(tree, "/etc/debian_version");
        let point = String::from_utf8_lossy(&text).trim().to_string();
        let major = release.version.clone().unwrap_or_default();
        let is_number = point.chars().all(|c| c.is_ascii_digit() || c == '.');
        if is_number && point.len() < 12 && point.starts_with(&format!("{major}.")) {
            release.version = Some(point);
        }
    }
    release
}

fn hostname(tree: &dyn Tree) -> Option<String> {
    let plain = |path: &str| {
        let text = read(tree, path);
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        line.map(str::to_string)
    };
    let assigned = |path: &str, key: &str| {
        let text = read(tree, path);
        let text = String::from_utf8_lossy(&text);
        let value = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['"', '\'']).to_string())
    };
    plain("/etc/hostname")
        .or_else(|| assigned("/etc/conf.d/hostname", "hostname"))
        .or_else(|| assigned("/etc/sysconfig/network", "HOSTNAME"))
        .or_else(|| plain("/etc/HOSTNAME"))
        .filter(|name| !name.is_empty() && name.len() <= 255)
}

fn machine_id(tree: &dyn Tree) -> Option<String> {
    let text = read(tree, "/etc/machine-id");
    let id = String::from_utf8_lossy(text.trim_ascii()).into_owned();
    let right = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    right.then_some(id)
}

/// A file's bytes; nothing when it is absent, no regular file, or longer than any such file.
fn read(tree: &dyn Tree, path: &str) -> Vec<u8> {
    root::read(tree, &RootPath::new(path), MOST_BYTES).unwrap_or_default()
}

/// Whether one of these names is there; a link counts, wherever it leads.
fn any(tree: &dyn Tree, paths: &[&str]) -> bool {
    paths
        .iter()
        .any(|path| tree.lstat(&RootPath::new(path)).is_ok())
}

fn is_dir(tree: &dyn Tree, path: &str) -> bool {
    tree.stat(&RootPath::new(path))
        .is_ok_and(|meta| meta.kind == Kind::Directory)
}

/// Whether a subvolume or directory of this path holds somebody else's tree: a container's, or
/// the package build's.
#[must_use]
pub fn is_containers(path: &RootPath) -> bool {
    const PLACES: &[&str] = &[
        "docker",
        "containers",
        "machines",
        "lxc",
        "lxd",
        "incus",
        "portables",
    ];
    let parts: Vec<_> = path.as_path().components().collect();
    parts.windows(2).any(|pair| {
        let [first, second] = pair else {
            return false;
        };
        let is = |part: &std::path::Component<'_>, name: &str| part.as_os_str() == name;
        is(first, "lib") && PLACES.iter().any(|place| is(second, place))
            || is(first, "var") && (is(second, "machines") || is(second, "portables"))
    }) || parts
        .iter()
        .any(|part| part.as_os_str() == "mkosi.cache" || part.as_os_str() == ".local")
}

/// Whether a path is where snapshots are kept.
#[must_use]
pub fn is_snapshots(path: &RootPath) -> bool {
    const PLACES: &[&str] = &[
        ".snapshots",
        "@snapshots",
        "@.snapshots",
        "timeshift-btrfs",
        "_btrbk_snap",
    ];
    path.as_path()
        .components()
        .any(|part| PLACES.iter().any(|place| part.as_os_str() == *place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    fn debian() -> Mem {
        Mem::new()
            .with_file(
                "/usr/lib/os-release",
                "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=12\n",
            )
            .with_link("/etc/os-release", "../usr/lib/os-release")
            .with_file("/etc/debian_version", "12.9\n")
            .with_link("/bin", "usr/bin")
            .with_file("/etc/fstab", "UUID=1 / ext4\n")
            .with_file("/etc/hostname", "web03\n")
            .with_link("/sbin/init", "/lib/systemd/systemd")
    }

    #[test]
    fn a_debian_is_known() {
        let facts = judge(&debian());
        assert!(facts.is_system());
        assert_eq!(facts.os.short(), "Debian 12.9");
        assert_eq!(facts.hostname.as_deref(), Some("web03"));
        assert_eq!(facts.fstab.entries.len(), 1);
    }

    #[test]
    fn what_is_no_system_scores_too_little() {
        let home = Mem::new().with_file("/anna/notes", "").with_dir("/etc");
        let usr = Mem::new()
            .with_file("/lib/os-release", "ID=debian")
            .with_dir("/bin");
        let boot = Mem::new().with_file("/vmlinuz-6.1", "k").with_dir("/grub");
        for tree in [home, usr, boot, Mem::new()] {
            assert!(!judge(&tree).is_system(), "{tree:?}");
        }
    }

    #[test]
    fn broken_and_unusual_systems_are_still_systems() {
        let no_release = Mem::new()
            .with_file("/etc/hosts", "")
            .with_dir("/bin")
            .with_file("/sbin/init", "x");
        let nixos = Mem::new()
            .with_file("/etc/NIXOS", "")
            .with_dir("/nix/store");
        let separate_usr = Mem::new()
            .with_link("/bin", "usr/bin")
            .with_link("/sbin", "usr/sbin")
            .with_file("/etc/fstab", "UUID=1 / ext4\nUUID=2 /usr ext4\n");
        for tree in [&no_release, &nixos, &separate_usr] {
            assert!(judge(tree).is_system(), "{tree:?}");
        }
        assert!(judge(&separate_usr).has_separate_usr());
    }

    #[test]
    fn files_of_the_wrong_kind_are_skipped() {
        let tree = debian()
            .with_special("/etc/fstab", Kind::Fifo)
            .with_special("/etc/hostname", Kind::CharDevice)
            .with_link("/etc/machine-id", "/etc/machine-id")
            .with_file("/etc/crypttab", vec![0xff; 100]);
        let facts = judge(&tree);
        assert!(facts.is_system());
        assert_eq!((facts.hostname, facts.fstab.entries.len()), (None, 0));
    }

    #[test]
    fn containers_and_snapshots_are_known_by_their_place() {
        let containers = |path: &str| is_containers(&RootPath::new(path));
        assert!(containers("/@/var/lib/docker/btrfs/subvolumes/abc"));
        assert!(containers("/var/lib/machines/f43"));
        assert!(!containers("/@") && !containers("/root"));
        assert!(is_snapshots(&RootPath::new("/@/.snapshots/1/snapshot")));
        assert!(!is_snapshots(&RootPath::new("/@home")));
    }
}
