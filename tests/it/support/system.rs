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
        let program = program("nix");
        fs::copy(&program, nix.path().join("nix")).unwrap();
        fs::create_dir(nix.path().join("lib")).unwrap();
        let libraries = run(Command::new("ldd").arg(&program));
        for library in libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            let library = Path::new(library);
            let name = library.file_name().unwrap().to_str().unwrap();
            let to = if name.starts_with("ld-linux") {
                nix.path().join("ld.so")
            } else {
                nix.path().join("lib").join(name)
            };
            fs::copy(library, to).unwrap();
        }
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

/// The program `name` in PATH.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("no {name} in PATH; run `cargo xtask test`"))
}
