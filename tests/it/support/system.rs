//! Systems that boot: a stand-in for a NixOS, whose store has a Nix in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::built::path;
use super::command::run;
use super::{env, temporary};

/// The expressions of `tests/closures/system.nix`, with the machine's Nix as the one in the
/// store.
pub(crate) struct Systems {
    /// The programs and libraries of that Nix.
    nix: TempDir,
}

impl Systems {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let nix = temporary::directory();
        copy_programs(nix.path(), &["nix"]);
        Self { nix }
    }

    /// The Nix expression `body`, in which stand the systems as `systems`, beside what
    /// [`super::built::expression`] has.
    pub(crate) fn expression(&self, body: &str) -> String {
        super::built::expression(&format!(
            "let systems = import {system} {{ busybox = {busybox}; nix = {nix}; }}; in {body}",
            system = path(&env::checkout().join("tests/closures/system.nix")),
            busybox = path(&env::small_closure().join("bin")),
            nix = path(self.nix.path()),
        ))
    }
}

/// Copies the machine's own `programs` into `directory`, with their loader as `ld.so` and their
/// libraries in `lib`.
#[track_caller]
pub(crate) fn copy_programs(directory: &Path, programs: &[&str]) {
    fs::create_dir(directory.join("lib")).unwrap();
    for name in programs {
        let program = program(name);
        fs::copy(&program, directory.join(name)).unwrap();
        let libraries = run(Command::new("ldd").arg(&program));
        let words = libraries.split_whitespace();
        for library in words.filter(|word| word.starts_with('/')).map(Path::new) {
            let name = library.file_name().unwrap().to_str().unwrap();
            let to = if name.starts_with("ld-linux") {
                directory.join("ld.so")
            } else {
                directory.join("lib").join(name)
            };
            fs::copy(library, to).unwrap();
        }
    }
}

/// The program `name` in PATH.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("no {name} in PATH; run `cargo xtask test`"))
}
