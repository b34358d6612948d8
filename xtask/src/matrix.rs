//! `cargo xtask matrix`: every release of Nix × every profile × every container × every filesystem
//! of the host, and one digest of each image.

use anyhow::Result;
use xshell::cmd;

use crate::prerequisites::{self, FOR_BUILD, FOR_DEMO, FOR_TESTS};
use crate::step::step;
use crate::test_env::TestEnv;
use crate::workspace::Workspace;
use crate::{builder, garbage};

/// The test, as the harness calls it.
const TEST: &str = "matrix::every_nix_on_every_host_filesystem_makes_the_same_images";

/// Builds all of it; the digests are on stdout.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let shell = &workspace.shell;
    prerequisites::ensure(workspace, &[FOR_BUILD, FOR_DEMO, FOR_TESTS])?;
    let builder = builder::build(workspace)?;
    let env = TestEnv::prepare(workspace)?;
    garbage::removed_after(workspace, &env, || {
        step("build the matrix", || {
            let test = cmd!(shell, "cargo test --test it -- --exact {TEST} --nocapture");
            let test = env.tell(test).env("NIX2IMAGE_BUILDER", &builder);
            Ok(test.env("NIX2IMAGE_FULL", "1").run()?)
        })
    })
}
