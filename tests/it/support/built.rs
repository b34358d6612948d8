//! Images that Nix builds, each copied, and judged by e2fsck, before a test sees it.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::command::run;
use super::env;
use super::fsck::e2fsck_is_silent;
use super::nix::Nix;
use super::temporary;

/// The Nix expression `body`, in which stand our functions as `nix2image`, the one
/// closure of Debian packages as `small` (all its derivations as `packages`), and the
/// one of hostile names as `hostile`, also for any system as `hostileOn system`, and with other
/// settings as `hostileWith settings`.
#[track_caller]
pub(crate) fn expression(body: &str) -> String {
    let checkout = env::checkout();
    let small = env::small_closure();
    format!(
        "let
          nix2image = import {nix} {{ builder = {builder}; }};
          packages = (import {small}).packages;
          small = (import {small}).closure;
          hostileWith = settings: import {hostile} ({{ busybox = {busybox}; }} // settings);
          hostileOn = system: hostileWith {{ inherit system; }};
          hostile = hostileOn builtins.currentSystem;
        in
        {body}",
        nix = path(&checkout.join("nix")),
        builder = path(&env::builder()),
        small = path(&small),
        hostile = path(&checkout.join("tests/closures/hostile.nix")),
        busybox = path(&small.join("bin")),
    )
}

/// The Nix expression of an image: `makeExt4Fs` with `arguments`.
#[track_caller]
pub(crate) fn make_ext4_fs(arguments: &str) -> String {
    expression(&format!("nix2image.makeExt4Fs {{ {arguments} }}"))
}

/// A file of the host as a path of the Nix language.
#[track_caller]
pub(crate) fn path(file: &Path) -> String {
    let file = file.to_str();
    format!("(/. + {:?})", file.expect("the tests' own paths are text"))
}

/// An image of the test's own, sound; gone with the value.
///
/// What stands in the store is the same file to every test that builds it, and what one of them
/// has mounted is in use to e2fsck, and busy, in the others.
#[derive(Debug)]
pub(crate) struct Built {
    image: PathBuf,
    /// What the image goes with.
    _directory: TempDir,
}

impl Deref for Built {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.image
    }
}

/// What `nix` builds of `expression`, which is a plain image.
#[track_caller]
pub(crate) fn build(nix: Nix, expression: &str) -> Built {
    copied(&nix.seen_from_outside(&nix.build(&["--expr", expression])))
}

/// A copy of a plain image.
#[track_caller]
pub(crate) fn copied(image: &Path) -> Built {
    judged(|copy| {
        let mut cp = Command::new("cp");
        cp.args(["--sparse=always", "--no-preserve=mode"]);
        run(cp.arg(image).arg(copy));
    })
}

/// The content of a compressed image.
#[track_caller]
pub(crate) fn unpacked(compressed: &Path) -> Built {
    judged(|image| {
        let from = File::open(compressed).unwrap();
        zstd::stream::copy_decode(from, File::create(image).unwrap()).unwrap();
    })
}

/// What `make` writes to the path that it is given.
#[track_caller]
fn judged(make: impl FnOnce(&Path)) -> Built {
    let directory = temporary::directory();
    let image = directory.path().join("image");
    make(&image);
    e2fsck_is_silent(&image);
    Built {
        image,
        _directory: directory,
    }
}

/// The SHA-256 of a file's bytes, in hex.
#[track_caller]
pub(crate) fn digest(file: &Path) -> String {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file).unwrap());
    let mut hasher = Sha256::new();
    loop {
        let bytes = reader.fill_buf().unwrap();
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
        let length = bytes.len();
        reader.consume(length);
    }
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}
