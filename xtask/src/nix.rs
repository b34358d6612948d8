//! Nix, as it is used here: with its sandbox, and without a network.

use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

/// Given in the environment, so that /etc stays as it is. Debian turns the
/// sandbox off; a build that cannot have one must fail.
pub(crate) const CONFIG: &str = "\
sandbox = true
sandbox-fallback = false
substituters =
build-users-group =
experimental-features = nix-command flakes
";

/// Builds an attribute of a Nix file; `out_link` is what keeps it alive.
pub(crate) fn build(
    shell: &Shell,
    file: &Path,
    attribute: &str,
    out_link: &Path,
) -> Result<PathBuf> {
    let path = cmd!(
        shell,
        "nix-build {file} -A {attribute} --out-link {out_link}"
    )
    .env("NIX_CONFIG", CONFIG)
    .read()?;
    Ok(PathBuf::from(path))
}
