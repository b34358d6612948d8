//! `cargo xtask test`: everything that proves the project.

use anyhow::Result;
use xshell::cmd;

use crate::prerequisites::{self, FOR_BUILD, FOR_DEMO, FOR_TESTS};
use crate::step::step;
use crate::test_env::TestEnv;
use crate::workspace::Workspace;
use crate::{builder, deny, garbage};

/// How much is proved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What CI runs.
    Usual,
    /// With the tests that take long.
    Full,
}

/// Does all of it, the quick first, up to the first failure.
pub(crate) fn command(workspace: &Workspace, extent: Extent) -> Result<()> {
    let shell = &workspace.shell;
    step("install what is missing", || {
        prerequisites::ensure(workspace, &[FOR_BUILD, FOR_DEMO, FOR_TESTS])
    })?;
    step("formatting", || {
        Ok(cmd!(shell, "cargo fmt --all --check").run()?)
    })?;
    step("lints", || {
        Ok(cmd!(
            shell,
            "cargo clippy --workspace --all-targets -- -D warnings"
        )
        .run()?)
    })?;
    step("documentation", || {
        let doc = cmd!(
            shell,
            "cargo doc --workspace --no-deps --document-private-items"
        );
        Ok(doc.env("RUSTDOCFLAGS", "-D warnings").run()?)
    })?;
    step("bans, licences and sources of dependencies", || {
        deny::check(workspace)
    })?;
    let builder = builder::build(workspace)?;
    let env = TestEnv::prepare(workspace)?;
    garbage::removed_after(workspace, &env, || {
        step("tests", || {
            let mut tests = env
                .tell(cmd!(shell, "cargo test --workspace"))
                .env("NIX2IMAGE_BUILDER", &builder);
            if extent == Extent::Full {
                tests = tests.env("NIX2IMAGE_FULL", "1");
            }
            Ok(tests.run()?)
        })
    })
}
