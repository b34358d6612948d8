//! What Debian gives: its packages, through apt.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::workspace::Workspace;

/// Whether apt can install packages here, or why it cannot.
pub(crate) fn can_install(workspace: &Workspace) -> Result<(), &'static str> {
    if workspace.find_program("apt-get").is_none() {
        Err("there is no apt-get here to install them")
    } else if !is_root(&workspace.shell) {
        Err("only root can install them")
    } else {
        Ok(())
    }
}

fn is_root(shell: &Shell) -> bool {
    cmd!(shell, "id -u")
        .quiet()
        .read()
        .is_ok_and(|id| id == "0")
}

/// Installs `packages`, and of what they recommend nothing.
pub(crate) fn install(shell: &Shell, packages: &[&str]) -> Result<()> {
    update(shell)?;
    cmd!(
        shell,
        "apt-get -qq -y --no-install-recommends install {packages...}"
    )
    .env("DEBIAN_FRONTEND", "noninteractive")
    .run()?;
    Ok(())
}

/// Brings the lists of packages up to date, once in a run.
pub(crate) fn update(shell: &Shell) -> Result<()> {
    static IS_UP_TO_DATE: AtomicBool = AtomicBool::new(false);
    if !IS_UP_TO_DATE.load(Ordering::Relaxed) {
        cmd!(shell, "apt-get -qq update").run()?;
        IS_UP_TO_DATE.store(true, Ordering::Relaxed);
    }
    Ok(())
}
