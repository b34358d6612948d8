//! Debian's kernel for virtual machines: unpacked, for its installation would want to
//! boot this machine with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::debian;
use crate::workspace::Workspace;

/// The package that depends on the newest kernel of the suite.
const LATEST: &str = "linux-image-cloud-amd64";

/// Puts the kernel in `directory`, as `vmlinuz`, with all of its modules, unless it is
/// there already.
pub(crate) fn prepare(workspace: &Workspace, directory: &Path) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    let shell = &workspace.shell;
    debian::update(shell)?;
    let package = package(workspace)?;
    let downloads = directory.with_extension("download");
    shell.remove_path(&downloads)?;
    shell.create_dir(&downloads)?;
    {
        let _there = shell.push_dir(&downloads);
        cmd!(shell, "apt-get -qq download {package}").run()?;
    }
    let unpacked = downloads.join("unpacked");
    for archive in files_below(&downloads)? {
        cmd!(shell, "dpkg -x {archive} {unpacked}").run()?;
    }

    let ready = downloads.join("ready");
    shell.create_dir(&ready)?;
    for file in files_below(&unpacked)? {
        let name = file.file_name().context("a file has a name")?;
        let name = name.to_string_lossy();
        if name.starts_with("vmlinuz-") {
            fs::copy(&file, ready.join("vmlinuz"))?;
        } else if name.ends_with(".ko") {
            fs::copy(&file, ready.join(&*name))?;
        }
    }
    // Only what is whole has the name.
    fs::rename(&ready, directory)?;
    shell.remove_path(&downloads)?;
    Ok(())
}

/// The first package that [`LATEST`] depends on: the kernel itself.
fn package(workspace: &Workspace) -> Result<String> {
    let shell = &workspace.shell;
    let depends = cmd!(shell, "apt-cache depends {LATEST}").quiet().read()?;
    depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .with_context(|| format!("{LATEST} depends on no kernel:\n{depends}"))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}
