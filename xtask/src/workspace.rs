//! Where the project stands, and the shell that its commands run in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

use crate::nix;

/// Directories of system tools that a plain user's, or `su`'s, PATH may lack.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The project's directories and the shell that stands in its root.
pub(crate) struct Workspace {
    /// Runs commands in `root`, with the system's tools in PATH, and
    /// Nix set as [`nix::CONFIG`] says.
    pub(crate) shell: Shell,
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory: all that we make stands in it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was compiled in.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask stands in the root of its workspace")?
            .to_owned();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        shell.set_var("PATH", search_path());
        shell.set_var("NIX_CONFIG", nix::CONFIG);
        let target = target_directory(&shell)?;
        shell.create_dir(&target)?;
        Ok(Self {
            shell,
            root,
            target,
        })
    }

    /// The program `name` in PATH, if there is one.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.shell.var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|directory| directory.join(name))
            .find(|program| program.is_file())
    }
}

fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(SYSTEM_DIRECTORIES.map(PathBuf::from));
    std::env::join_paths(directories).unwrap_or(path)
}

fn target_directory(shell: &Shell) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata = cmd!(shell, "cargo metadata --format-version 1 --no-deps")
        .quiet()
        .read()?;
    let metadata: Metadata =
        serde_json::from_str(&metadata).context("reading what `cargo metadata` says")?;
    Ok(metadata.target_directory)
}
