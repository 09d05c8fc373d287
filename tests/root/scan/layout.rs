//! Systems that are laid out otherwise than in one tree.

use std::fs;

use super::{ext4, only_system, scan, wtmp};
use crate::disk::{DEBIAN, filesystem, filled, kernel, sh, system, uuid};
use crate::need::Need;
use crate::trial::Trial;

pub(super) fn trials() -> Vec<Trial> {
    let ext4 = [Need::Loop, Need::Fs("ext4"), Need::Command("sfdisk")];
    vec![
        Trial::new("scan::usr_and_boot_apart", &ext4, usr_and_boot_apart),
        Trial::new("scan::deployments_and_nixos", &ext4, deployments_and_nixos),
    ]
}

fn usr_and_boot_apart() {
    let usr = filesystem("/tmp/usr.img", 32, "mkfs.ext4 -q -L usr");
    let boot = filesystem("/tmp/boot.img", 32, "mkfs.ext4 -q");
    let var = filesystem("/tmp/var.img", 32, "mkfs.ext4 -q");
    let fstab = format!(
        "/dev/disk/by-uuid/{} /boot ext4\nLABEL=usr /usr ext4\nUUID={} /var ext4\n/dev/mapper/home /home ext4\n",
        uuid(&boot),
        uuid(&var)
    );
    let root = ext4("/tmp/root.img", |top| {
        system(top, DEBIAN, "apart", &fstab);
        kernel(top, "6.1.0-38-amd64", true);
        fs::write(top.join("var/log/wtmp"), wtmp(5000)).unwrap();
        for (image, directory) in [(&usr, "usr"), (&boot, "boot"), (&var, "var")] {
            let from = top.join(directory);
            filled(image, |to| {
                sh(&format!("cp -a {}/. {}", from.display(), to.display()));
            });
            sh(&format!("rm -r {}/*", from.display()));
        }
    });
    let found = scan(&[&root, &usr, &boot, &var]);
    let system = only_system(&found);
    assert_eq!(system["os"]["id"], "debian");
    assert_eq!(system["arch"], "amd64");
    assert_eq!(system["boot"]["kernels"][0]["version"], "6.1.0-38-amd64");
    assert_eq!(system["boot"]["kernels"][0]["modules"], true);
    assert_eq!(system["last_boot"]["time"], 5000);
    assert_eq!(system["fstab"][3]["state"], "missing");
}

fn deployments_and_nixos() {
    let release = "ID=fedora\nNAME=\"Fedora Linux\"\nVERSION_ID=43\nVARIANT_ID=silverblue\n";
    let atomic = ext4("/tmp/atomic.img", |top| {
        let base = top.join("ostree/deploy/fedora/deploy");
        for name in ["aaaa.0", "bbbb.0"] {
            fs::create_dir_all(base.join(name)).unwrap();
            fs::write(base.join(format!("{name}.origin")), "").unwrap();
            system(&base.join(name), release, "atomic", "");
        }
        sh(&format!("touch -d 2001-01-01 {}/aaaa.0", base.display()));
        fs::create_dir_all(top.join("boot")).unwrap();
    });
    let nixos = ext4("/tmp/nixos.img", |top| {
        for directory in ["etc", "nix/store/abc-etc", "bin"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        fs::write(top.join("etc/NIXOS"), "").unwrap();
        fs::write(
            top.join("nix/store/abc-etc/os-release"),
            "ID=nixos\nNAME=NixOS\n",
        )
        .unwrap();
        sh(&format!(
            "ln -s /nix/store/abc-etc {0}/etc/static; ln -s /etc/static/os-release {0}/etc/os-release",
            top.display()
        ));
    });
    let found = scan(&[&atomic, &nixos]);
    let systems = found["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{found:#}");
    assert_eq!(
        systems[0]["root"]["deployment"],
        "/ostree/deploy/fedora/deploy/bbbb.0"
    );
    assert_eq!(systems[0]["folded"], 1);
    assert_eq!(systems[1]["os"]["id"], "nixos");
}
