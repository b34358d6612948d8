//! Debian's kernel for virtual machines: unpacked, for its installation would want to
//! boot this machine with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::debian;
use crate::workspace::Workspace;

/// Puts the kernel in `directory`, as `vmlinuz`, with all of its modules, unless it is
/// there already.
pub(crate) fn prepare(workspace: &Workspace, directory: &Path) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    debian::update(&workspace.shell)?;
    let downloads = fresh(workspace, directory)?;
    put(
        workspace,
        &[],
        &["linux-image-cloud-amd64"],
        directory,
        &downloads,
    )
}

/// The same for arm64, with its static `busybox`. apt looks in lists of its own for it: to this
/// machine no architecture is added.
pub(crate) fn prepare_arm64(workspace: &Workspace, directory: &Path) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    let downloads = fresh(workspace, directory)?;
    let state = downloads.join("apt");
    workspace.shell.create_dir(state.join("lists/partial"))?;
    workspace.shell.create_dir(state.join("archives/partial"))?;
    workspace.shell.write_file(state.join("status"), "")?;
    let state = state.display();
    let options = [
        "APT::Architecture=arm64".to_owned(),
        "APT::Architectures=arm64".to_owned(),
        format!("Dir::State={state}"),
        format!("Dir::State::status={state}/status"),
        format!("Dir::Cache={state}"),
    ]
    .map(|option| format!("--option={option}"));
    let shell = &workspace.shell;
    let options = &options;
    cmd!(shell, "apt-get -qq {options...} update").run()?;
    let packages = ["linux-image-cloud-arm64", "busybox-static"];
    put(workspace, options, &packages, directory, &downloads)
}

/// An empty directory beside `directory`.
fn fresh(workspace: &Workspace, directory: &Path) -> Result<PathBuf> {
    let downloads = directory.with_extension("download");
    workspace.shell.remove_path(&downloads)?;
    workspace.shell.create_dir(&downloads)?;
    Ok(downloads)
}

/// Downloads `packages` and puts what they have of kernel, modules and busybox in `directory`.
/// The first package is that which depends on the newest kernel of the suite.
fn put(
    workspace: &Workspace,
    options: &[String],
    packages: &[&str],
    directory: &Path,
    downloads: &Path,
) -> Result<()> {
    let shell = &workspace.shell;
    let (latest, others) = packages.split_first().context("a kernel is wanted")?;
    let kernel = kernel_package(workspace, options, latest)?;
    {
        let _there = shell.push_dir(downloads);
        cmd!(
            shell,
            "apt-get -qq {options...} download {kernel} {others...}"
        )
        .run()?;
    }
    let unpacked = downloads.join("unpacked");
    let is_package = |file: &PathBuf| file.extension().is_some_and(|end| end == "deb");
    for archive in files_below(downloads)?.into_iter().filter(is_package) {
        cmd!(shell, "dpkg -x {archive} {unpacked}").run()?;
    }

    let ready = downloads.join("ready");
    shell.create_dir(&ready)?;
    for file in files_below(&unpacked)? {
        let name = file.file_name().context("a file has a name")?;
        let name = name.to_string_lossy();
        let name = match &*name {
            name if name.starts_with("vmlinuz-") => "vmlinuz",
            name if file.extension().is_some_and(|end| end == "ko") => name,
            "busybox" if file.parent().is_some_and(|parent| parent.ends_with("bin")) => "busybox",
            _ => continue,
        };
        fs::copy(&file, ready.join(name))?;
    }
    // Only what is whole has the name.
    fs::rename(&ready, directory)?;
    shell.remove_path(downloads)?;
    Ok(())
}

/// The first package that `latest` depends on: the kernel itself.
fn kernel_package(workspace: &Workspace, options: &[String], latest: &str) -> Result<String> {
    let shell = &workspace.shell;
    let depends = cmd!(shell, "apt-cache {options...} depends {latest}")
        .quiet()
        .read()?;
    depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .with_context(|| format!("{latest} depends on no kernel:\n{depends}"))
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
