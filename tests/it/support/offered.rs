//! What a user begins with: this repository at an address, a nixpkgs, and the program.
//!
//! The nixpkgs is a copy of the stand-in of `tests/nix`, with what it takes of the machine beside
//! it: its packages can be built in pure evaluation, as those of a flake are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::command::run;
use super::{env, temporary};

/// Where the repository's flakes take nixpkgs from.
pub(crate) const NIXPKGS: &str = "github:NixOS/nixpkgs/nixos-unstable";

/// Copies the stand-in `$1` with what it takes of the machine to `$2`; `$3` is our program, `$4` a
/// static busybox.
const COPY_NIXPKGS: &str = r#"
    cp -R "$1" "$2"
    machine=$2/machine libraries=/usr/lib/$(uname -m)-linux-gnu
    mkdir "$machine" "$machine/bin" "$machine/lib"
    printf %s-linux "$(uname -m)" >"$machine/system"
    cp "$3" "$machine/nix2image"
    cp "$4" "$machine/bin/busybox"
    cp /usr/bin/cp /usr/bin/tar /usr/bin/zstd /usr/bin/grub-mkimage "$machine/bin"
    cp -P "$libraries"/ld-linux-*.so.* "$machine/lib"
    for name in acl attr c devmapper lz4 lzma m pcre2-8 selinux udev z zstd; do
      cp -P "$libraries/lib$name".so.* "$machine/lib"
    done
    cp -R /usr/lib/grub "$machine/grub"
    cp -R /usr/lib/systemd/boot/efi "$machine/systemd-boot"
"#;

/// All of it, in a directory that goes with the value.
pub(crate) struct Offered {
    directory: TempDir,
}

impl Offered {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let offered = Self {
            directory: temporary::directory(),
        };
        copy_tracked_files(&offered.repository());
        let mut copy = Command::new("sh");
        copy.args(["-euc", COPY_NIXPKGS, "sh"])
            .arg(env::checkout().join("tests/nix/nixpkgs"))
            .arg(offered.nixpkgs())
            .arg(env::builder())
            .arg(env::small_closure().join("bin/busybox"));
        run(&mut copy);
        for flake in ["flake.nix", "nix/templates"] {
            offered.replace_nixpkgs(&offered.repository().join(flake));
        }
        offered
    }

    /// What git tracks of the checkout.
    pub(crate) fn repository(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    pub(crate) fn nixpkgs(&self) -> PathBuf {
        self.directory.path().join("nixpkgs")
    }

    /// The address of a flake in `directory`.
    pub(crate) fn address(directory: &Path) -> String {
        format!("path:{}", directory.display())
    }

    /// Puts the address of our nixpkgs into a `flake.nix`, or into all below a directory.
    #[track_caller]
    fn replace_nixpkgs(&self, path: &Path) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                self.replace_nixpkgs(&entry.unwrap().path());
            }
        } else if path.ends_with("flake.nix") {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(NIXPKGS), "{}", path.display());
            fs::write(path, text.replace(NIXPKGS, &Self::address(&self.nixpkgs()))).unwrap();
        }
    }
}

/// Copies what git tracks of the checkout into a directory, which is made if it is not there.
#[track_caller]
pub(crate) fn copy_tracked_files(to: &Path) {
    let checkout = env::checkout();
    for name in tracked_files() {
        let (from, to) = (checkout.join(&name), to.join(&name));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        if from.is_symlink() {
            symlink(from.read_link().unwrap(), to).unwrap();
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// What git tracks of the checkout, by its path there.
#[track_caller]
pub(crate) fn tracked_files() -> Vec<String> {
    let checkout = env::checkout();
    let mut git = Command::new("git");
    git.arg("-c")
        .arg(format!("safe.directory={}", checkout.display()))
        .arg("-C")
        .arg(&checkout)
        .args(["ls-files", "-z"]);
    let names = run(&mut git);
    names.split_terminator('\0').map(String::from).collect()
}
