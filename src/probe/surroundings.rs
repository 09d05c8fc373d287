//! What this running system is, in the words of the first screen: its name, how it was booted,
//! whether there is a network, which keyboard layout the console has.

use super::{network, osrelease};
use crate::model::RootPath;
use crate::root::{Tree, read};

/// A configuration file of a few lines.
const SMALL: usize = 64 << 10;

/// How the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootedBy {
    /// The firmware left its variables.
    Uefi,
    /// A PC that was not started by UEFI.
    Bios,
    /// Something else: a board's own loader, a virtual machine without firmware.
    Unknown,
}

/// This running system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// "SystemRescue 12"
    pub name: String,
    /// How it was booted.
    pub booted_by: BootedBy,
    /// There is a way out to other networks.
    pub network: bool,
    /// "us", where something says so.
    pub keyboard: Option<String>,
}

/// Looks at the live system, whose `/proc` and `/sys` are in `tree` too.
#[must_use]
pub fn surroundings(tree: &dyn Tree, machine: &str) -> Surroundings {
    Surroundings {
        name: name(tree),
        booted_by: booted_by(tree, machine),
        network: network::default_interface(tree).is_some(),
        keyboard: keyboard(tree),
    }
}

fn text(tree: &dyn Tree, path: &str) -> Option<String> {
    let bytes = read(tree, &RootPath::new(path), SMALL).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// os-release of the live system; its absence is no reason to have no name.
#[must_use]
pub fn release(tree: &dyn Tree) -> osrelease::OsRelease {
    let found = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| osrelease::parse(text(tree, path)?.as_bytes()));
    found.unwrap_or_default()
}

fn name(tree: &dyn Tree) -> String {
    let name = release(tree).short();
    if name.is_empty() {
        String::from("an unknown system")
    } else {
        name
    }
}

fn booted_by(tree: &dyn Tree, machine: &str) -> BootedBy {
    let is_pc = machine == "x86_64" || (machine.starts_with('i') && machine.ends_with("86"));
    if tree.stat(&RootPath::new("/sys/firmware/efi")).is_ok() {
        BootedBy::Uefi
    } else if is_pc {
        BootedBy::Bios
    } else {
        BootedBy::Unknown
    }
}

/// The kernel command line wins (a live medium is told there), then what each family writes.
fn keyboard(tree: &dyn Tree) -> Option<String> {
    let of_kernel = text(tree, "/proc/cmdline").and_then(|line| {
        let words = line.split_ascii_whitespace();
        let keys = [
            "rd.vconsole.keymap",
            "vconsole.keymap",
            "keyboard-layouts",
            "setkmap",
            "console-keymap",
        ];
        words
            .filter_map(|word| word.split_once('='))
            .find_map(|(key, value)| {
                keys.contains(&key.trim_start_matches("live-config."))
                    .then(|| value.to_owned())
            })
    });
    let files = [
        ("/etc/default/keyboard", "XKBLAYOUT"),
        ("/etc/vconsole.conf", "KEYMAP"),
        ("/etc/conf.d/keymaps", "keymap"),
        ("/etc/conf.d/loadkmap", "KEYMAP"),
        ("/etc/sysconfig/keyboard", "KEYTABLE"),
        ("/etc/rc.conf", "KEYMAP"),
    ];
    of_kernel
        .or_else(|| {
            files
                .iter()
                .find_map(|(path, key)| value(&text(tree, path)?, key))
        })
        .map(|name| short(&name))
        .filter(|name| !name.is_empty())
}

/// `KEY="value"` of a file that a shell reads.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let rest = line
            .trim()
            .strip_prefix(key)?
            .trim_start()
            .strip_prefix('=')?;
        let word = rest.split('#').next().unwrap_or_default().trim();
        let word = word.trim_matches(['"', '\'']);
        (!word.is_empty()).then(|| word.to_owned())
    })
}

/// Alpine names the whole file: /etc/keymap/us.bmap.gz.
fn short(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split('.').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Mem;

    const ROUTES: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU\n";

    #[test]
    fn a_live_medium_with_everything() {
        let tree = Mem::new()
            .with_file(
                "/etc/os-release",
                "ID=sysrescue\nNAME=SystemRescue\nVERSION_ID=12\n",
            )
            .with_dir("/sys/firmware/efi")
            .with_file("/proc/cmdline", "quiet vconsole.keymap=de-latin1\n")
            .with_file("/etc/vconsole.conf", "KEYMAP=us\n")
            .with_file(
                "/proc/net/route",
                format!("{ROUTES}eth0 00000000 0102A8C0 0003 0 0 100 00000000 0\n"),
            );
        let found = surroundings(&tree, "x86_64");
        assert_eq!(found.name, "SystemRescue 12");
        assert_eq!(found.booted_by, BootedBy::Uefi);
        assert!(found.network);
        assert_eq!(found.keyboard.unwrap(), "de-latin1");
    }

    #[test]
    fn a_bare_machine() {
        let found = surroundings(&Mem::new(), "i686");
        assert_eq!(found.name, "an unknown system");
        assert_eq!(found.booted_by, BootedBy::Bios);
        assert!(!found.network);
        assert_eq!(found.keyboard, None);
        assert_eq!(
            surroundings(&Mem::new(), "aarch64").booted_by,
            BootedBy::Unknown
        );
    }

    #[test]
    fn a_route_to_one_network_is_no_way_out() {
        let table = [
            ("eth0 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0", "", false),
            (
                "",
                "00000000000000000000000000000000 00 0 00 0 0 0 0 0 lo",
                false,
            ),
            (
                "",
                "00000000000000000000000000000000 00 0 00 0 0 0 0 0 wlan0",
                true,
            ),
            (
                "",
                "fe800000000000000000000000000000 40 0 00 0 0 0 0 0 wlan0",
                false,
            ),
        ];
        for (v4, v6, expected) in table {
            let tree = Mem::new()
                .with_file("/proc/net/route", format!("{ROUTES}{v4}\n"))
                .with_file("/proc/net/ipv6_route", format!("{v6}\n"));
            assert_eq!(
                network::default_interface(&tree).is_some(),
                expected,
                "{v4} {v6}"
            );
        }
    }

    #[test]
    fn the_layout_is_found_where_each_family_has_it() {
        let table = [
            (
                "/etc/default/keyboard",
                "# x\nXKBMODEL=\"pc105\"\nXKBLAYOUT=\"gb\"\n",
                "gb",
            ),
            ("/etc/vconsole.conf", "FONT=x\nKEYMAP='fr'  # x\n", "fr"),
            (
                "/etc/conf.d/loadkmap",
                "KEYMAP=/etc/keymap/es.bmap.gz\n",
                "es",
            ),
            ("/etc/conf.d/keymaps", "keymap=\"it\"\n", "it"),
        ];
        for (path, content, expected) in table {
            let tree = Mem::new().with_file(path, content);
            assert_eq!(keyboard(&tree).as_deref(), Some(expected), "{path}");
        }
        let empty = Mem::new().with_file("/etc/vconsole.conf", "KEYMAP=\n");
        assert_eq!(keyboard(&empty), None);
    }
}
