//! cargo-deny: which crates, licences and sources we let in.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

/// Checks the dependencies against `deny.toml`.
///
/// Not for advisories: their database lives on the network, and a test's
/// outcome must not change while the project stays the same.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let cargo_deny = install(workspace)?;
    cmd!(workspace.shell, "{cargo_deny} check bans licenses sources").run()?;
    Ok(())
}

/// The pinned cargo-deny, compiled if it is not there already.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let candidates = [tools.join("bin/cargo-deny")]
        .into_iter()
        .chain(workspace.find_program("cargo-deny"));
    for candidate in candidates {
        if is_pinned_version(workspace, &candidate) {
            return Ok(candidate);
        }
    }
    cmd!(
        workspace.shell,
        "cargo install cargo-deny --locked --version {VERSION} --force --root {tools}"
    )
    // It is compiled elsewhere and thrown away: our own target directory stays small.
    .env_remove("CARGO_TARGET_DIR")
    .run()?;
    Ok(tools.join("bin/cargo-deny"))
}

fn is_pinned_version(workspace: &Workspace, cargo_deny: &Path) -> bool {
    cargo_deny.is_file()
        && cmd!(workspace.shell, "{cargo_deny} --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok_and(|version| version.ends_with(&format!(" {VERSION}")))
}
