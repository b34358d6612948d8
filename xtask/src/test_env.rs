//! What the integration tests find ready, and how they are told.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Cmd, cmd};

use crate::step::step;
use crate::workspace::Workspace;
use crate::{closure, nix};

/// The suite whose Nix the tests run beside the machine's own: 2.26.
const OTHER_NIX_SUITE: &str = "trixie";

/// A small closure, and another release of Nix.
pub(crate) struct TestEnv {
    /// Kept from one run to the next.
    directory: PathBuf,
    small_closure: PathBuf,
    nix_in: PathBuf,
    /// Directories that must be seen under the other Nix too.
    nix_in_paths: String,
}

impl TestEnv {
    /// Makes what is not there.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.target.join("test-env");
        workspace.shell.create_dir(&directory)?;
        let temporary = std::env::temp_dir();
        let env = Self {
            small_closure: directory.join("small"),
            nix_in: workspace.root.join("tests/nix-versions/nix-in"),
            nix_in_paths: format!("{}:{}", workspace.target.display(), temporary.display()),
            directory,
        };
        step("make the small closure", || {
            small_closure(workspace)?;
            Ok(())
        })?;
        step("make the root of the other Nix", || {
            let nix_in = &env.nix_in;
            let nix = cmd!(workspace.shell, "{nix_in} {OTHER_NIX_SUITE} nix --version");
            env.tell(nix).run()?;
            Ok(())
        })?;
        Ok(env)
    }

    /// Gives `command` the variables that `tests/it/support/env.rs` reads.
    pub(crate) fn tell<'shell>(&self, command: Cmd<'shell>) -> Cmd<'shell> {
        command
            .env("NIX_CONFIG", nix::CONFIG)
            .env("NIX_IN_PATHS", &self.nix_in_paths)
            .env("NIX2IMAGE_TEST_ENV", &self.directory)
            .env("NIX2IMAGE_SMALL_CLOSURE", &self.small_closure)
            .env("NIX2IMAGE_NIX_IN", &self.nix_in)
            .env("NIX2IMAGE_NIX_IN_SUITE", OTHER_NIX_SUITE)
    }
}

/// Makes and builds the small closure: the store path that refers to all of it.
pub(crate) fn small_closure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.target.join("test-env/small");
    workspace.shell.create_dir(&directory)?;
    closure::make(
        workspace,
        &workspace.root.join("tests/closures/small.txt"),
        &directory,
    )?;
    nix::build(
        &workspace.shell,
        &directory,
        "closure",
        &directory.with_extension("built"),
    )
}
