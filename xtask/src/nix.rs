//! Nix, as it is used here: with its sandbox, and without a network.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
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
) -> Result<String> {
    cmd!(
        shell,
        "nix-build {file} -A {attribute} --out-link {out_link}"
    )
    .ignore_stdout()
    .run()?;
    linked(out_link)
}

/// The store path that an out-link leads to.
pub(crate) fn linked(out_link: &Path) -> Result<String> {
    let target = out_link
        .read_link()
        .with_context(|| format!("reading the link {}", out_link.display()))?;
    let text = target.into_os_string().into_string();
    text.map_err(|path| anyhow!("the store path {} is not text", path.display()))
}
