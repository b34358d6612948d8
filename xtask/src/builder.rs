//! The static binary, which is the builder of a derivation.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use elf::ElfBytes;
use elf::abi::{DT_NEEDED, PT_INTERP};
use elf::endian::AnyEndian;
use xshell::cmd;

use crate::prerequisites::{self, FOR_BUILD};
use crate::step::step;
use crate::workspace::Workspace;

/// `cargo xtask build`
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(workspace, &[FOR_BUILD])?;
    println!("{}", build(workspace)?.display());
    Ok(())
}

/// Builds the binary for this machine's architecture, and verifies that it is static.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    step("build the static binary", || {
        let binary = compile(workspace, "nix2image")?.join("nix2image");
        verify_static(&binary)?;
        Ok(binary)
    })
}

/// Compiles the programs of `package` as static ones; the directory that they are in.
pub(crate) fn compile(workspace: &Workspace, package: &str) -> Result<PathBuf> {
    let shell = &workspace.shell;
    let target = host_target(workspace)?;
    let inherited = shell.var("RUSTFLAGS").unwrap_or_default();
    // With `--target` the flags are for the programs alone: procedural
    // macros, which the compiler loads, cannot be static.
    cmd!(
        shell,
        "cargo build --release --package {package} --target {target}"
    )
    .env(
        "RUSTFLAGS",
        format!("{inherited} -C target-feature=+crt-static"),
    )
    .run()?;
    Ok(workspace.target.join(target).join("release"))
}

/// Fails unless `program` runs where there is no other file.
pub(crate) fn verify_static(program: &Path) -> Result<()> {
    let name = program.display();
    let bytes = std::fs::read(program).with_context(|| format!("reading {name}"))?;
    let file = ElfBytes::<AnyEndian>::minimal_parse(&bytes)
        .with_context(|| format!("reading {name} as ELF"))?;
    let segments = file
        .segments()
        .with_context(|| format!("{name} has no program headers"))?;
    if segments.iter().any(|segment| segment.p_type == PT_INTERP) {
        bail!("{name} is not static: it asks for a dynamic loader");
    }
    let dynamic = file
        .dynamic()
        .with_context(|| format!("reading the dynamic table of {name}"))?;
    let libraries = dynamic.map_or(0, |table| {
        table
            .iter()
            .filter(|entry| entry.d_tag == DT_NEEDED)
            .count()
    });
    ensure!(
        libraries == 0,
        "{name} is not static: it needs {libraries} shared libraries"
    );
    Ok(())
}

/// The target triple of the machine that we run on.
fn host_target(workspace: &Workspace) -> Result<String> {
    let version = cmd!(workspace.shell, "rustc --version --verbose")
        .quiet()
        .read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("`rustc --version --verbose` names no host")?
        .to_owned())
}
