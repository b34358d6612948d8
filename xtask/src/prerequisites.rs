//! The programs that our commands run, and the Debian packages that have them.

use std::path::Path;

use anyhow::{Result, bail};

use crate::debian;
use crate::workspace::Workspace;

/// A program that must be there.
#[derive(Clone, Copy)]
pub(crate) struct Prerequisite {
    program: &'static str,
    package: &'static str,
    /// Whether it must run where there is no other file, as in Nix's sandbox.
    is_static: bool,
}

const fn program(program: &'static str, package: &'static str) -> Prerequisite {
    Prerequisite {
        program,
        package,
        is_static: false,
    }
}

/// For the static binary: zstd is compiled from C.
pub(crate) const FOR_BUILD: &[Prerequisite] = &[program("cc", "gcc libc6-dev")];

/// For a real build by Nix, and a look at the image.
pub(crate) const FOR_DEMO: &[Prerequisite] = &[
    program("nix-build", "nix-bin"),
    program("e2fsck", "e2fsprogs"),
    program("apt-cache", "apt"),
    Prerequisite {
        program: "busybox",
        package: "busybox-static",
        is_static: true,
    },
];

/// For the tests, beside what the demo needs.
pub(crate) const FOR_TESTS: &[Prerequisite] = &[
    program("bmaptool", "bmap-tools"),
    program("chromium", "chromium"),
    program("debootstrap", "debootstrap"),
    program("fish", "fish"),
    program("fsck.fat", "dosfstools"),
    program("grub-fstest", "grub-common"),
    program("grub-mkimage", "grub-common"),
    program("grub-script-check", "grub-common"),
    program("groff", "groff"),
    program("jq", "jq"),
    program("losetup", "mount"),
    program("man", "man-db"),
    program("mdir", "mtools"),
    program("mkfs.btrfs", "btrfs-progs"),
    program("mkfs.xfs", "xfsprogs"),
    program("mount", "mount"),
    program("parted", "parted"),
    program("prlimit", "util-linux"),
    program("qemu-img", "qemu-utils"),
    program("qemu-system-aarch64", "qemu-system-arm"),
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("partx", "util-linux"),
    program("script", "bsdutils"),
    program("setpriv", "util-linux"),
    program("sfdisk", "fdisk"),
    program("sgdisk", "gdisk"),
    program("sqlite3", "sqlite3"),
    // No programs of ours, but of the machines that boot: found by their paths.
    program("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin"),
    program("/usr/lib/grub/x86_64-efi/moddep.lst", "grub-efi-amd64-bin"),
    program(
        "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
        "systemd-boot-efi",
    ),
    program("/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu"),
    program("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
    program("unshare", "util-linux"),
    program("xz", "xz-utils"),
    program("zsh", "zsh"),
    program("zstd", "zstd"),
];

/// For the measurements, beside what the demo needs.
pub(crate) const FOR_BENCH: &[Prerequisite] = &[
    program("bash", "bash"),
    program("cmp", "diffutils"),
    program("debugfs", "e2fsprogs"),
    program("fakeroot", "fakeroot"),
    program("faketime", "faketime"),
    program("findmnt", "util-linux"),
    program("git", "git"),
    program("mkfs.btrfs", "btrfs-progs"),
    program("mkfs.vfat", "dosfstools"),
    program("mkfs.xfs", "xfsprogs"),
    program("mount", "mount"),
    program("parted", "parted"),
    program("qemu-img", "qemu-utils"),
    program("time", "time"),
    program("zstd", "zstd"),
];

/// Installs what is missing of `wanted`, or says what it is.
pub(crate) fn ensure(workspace: &Workspace, wanted: &[&[Prerequisite]]) -> Result<()> {
    let mut missing = missing_of(workspace, wanted);
    let mut installed: Vec<&str> = Vec::new();
    while !missing.is_empty() {
        let packages = packages(&missing);
        if let Err(why) = debian::can_install(workspace) {
            bail!(
                "these programs are missing, and {why}: {}. On Debian they are in the packages {}",
                names(&missing),
                packages.join(" ")
            );
        }
        if packages.iter().any(|package| installed.contains(package)) {
            bail!(
                "missing even now that {} are installed: {}",
                installed.join(" "),
                names(&missing)
            );
        }
        debian::install(&workspace.shell, &packages)?;
        installed.extend(packages);
        // Of another release than these, a package that was there may have made room for them.
        missing = missing_of(workspace, wanted);
    }
    Ok(())
}

fn missing_of(workspace: &Workspace, wanted: &[&[Prerequisite]]) -> Vec<Prerequisite> {
    let is_missing = |wanted: &&Prerequisite| match workspace.find_program(wanted.program) {
        Some(path) => wanted.is_static && !is_static(&path),
        None => true,
    };
    wanted
        .iter()
        .copied()
        .flatten()
        .filter(is_missing)
        .copied()
        .collect()
}

fn is_static(program: &Path) -> bool {
    crate::builder::verify_static(program).is_ok()
}

fn packages(missing: &[Prerequisite]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing
        .iter()
        .flat_map(|missing| missing.package.split(' '))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn names(missing: &[Prerequisite]) -> String {
    let name = |missing: &Prerequisite| {
        let Prerequisite { program, .. } = missing;
        if missing.is_static {
            format!("{program} (a static one)")
        } else {
            (*program).to_owned()
        }
    };
    missing.iter().map(name).collect::<Vec<_>>().join(", ")
}
