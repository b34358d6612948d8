//! Where things are, as `cargo xtask test` tells it: `xtask/src/test_env.rs`.
//!
//! A test never skips for the lack of something: it fails and says what to run.

use std::path::PathBuf;

/// The checkout that the tests were compiled from.
pub(crate) fn checkout() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// A tree of the real nixpkgs, where somebody has one.
pub(crate) fn nixpkgs() -> Option<PathBuf> {
    std::env::var_os("NIXPKGS").map(Into::into)
}

/// The static binary.
#[track_caller]
pub(crate) fn builder() -> PathBuf {
    path("NIX2IMAGE_BUILDER")
}

/// A directory whose `default.nix` has the attribute `closure`: real files, some
/// with spaces in their names.
#[track_caller]
pub(crate) fn small_closure() -> PathBuf {
    path("NIX2IMAGE_SMALL_CLOSURE")
}

/// The script `nix-in`, which runs a command under another release of Nix.
#[track_caller]
pub(crate) fn nix_in() -> PathBuf {
    path("NIX2IMAGE_NIX_IN")
}

/// The Debian suites whose Nix `nix-in` runs.
#[track_caller]
pub(crate) fn nix_in_suites() -> Vec<String> {
    let suites = variable("NIX2IMAGE_NIX_IN_SUITES");
    suites.split_whitespace().map(str::to_owned).collect()
}

/// The directory of the roots that `nix-in` runs commands in, one per suite.
#[track_caller]
pub(crate) fn nix_roots() -> PathBuf {
    path("NIX_ROOTS")
}

/// A directory with Debian's kernel for QEMU's machines, `vmlinuz`, and its modules.
#[track_caller]
pub(crate) fn kernel() -> PathBuf {
    path("NIX2IMAGE_KERNEL")
}

/// The same for aarch64, with a static busybox.
#[track_caller]
pub(crate) fn arm64() -> PathBuf {
    path("NIX2IMAGE_ARM64")
}

/// Directories that `nix-in` shows to a command, between colons.
#[track_caller]
pub(crate) fn nix_in_paths() -> String {
    variable("NIX_IN_PATHS")
}

/// Whether the longer tests are wanted too.
pub(crate) fn is_full() -> bool {
    std::env::var_os("NIX2IMAGE_FULL").is_some()
}

#[track_caller]
fn path(name: &str) -> PathBuf {
    variable(name).into()
}

#[track_caller]
fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) => value,
        Err(error) => panic!("{name}: {error}; run `cargo xtask test`"),
    }
}
