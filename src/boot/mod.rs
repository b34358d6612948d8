//! What a boot loader needs to start a NixOS, made from the system's own description: its
//! bootspec ([RFC 125], `boot.json`). Nothing of the system is run.
//!
//! [`place`] gives what the installers of nixpkgs would leave in `/boot` for the first
//! generation of the system profile, under the same names, so that `nixos-rebuild` takes
//! over from there.
//!
//! ```text
//!  closure's trees ──▶ store_files ──▶ bootspec ─┬▶ systemd_boot ┐
//!                          │                     ├▶ grub         ├▶ boot_tree ──▶ Placed
//!                          └── kernels, initrds ─┴▶ extlinux     ┘
//! ```
//!
//! [RFC 125]: https://github.com/NixOS/rfcs/blob/master/rfcs/0125-bootspec.md

mod boot_tree;
mod bootspec;
mod date;
mod extlinux;
mod fault;
mod grub;
mod store_files;
mod systemd_boot;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use fault::{BootFault, FindError};

use crate::root::Placed;
use crate::spec::{BootFiles, BootLoader};
use crate::store::StorePath;
use crate::tree::{Timestamp, Tree};
use boot_tree::BootTree;
use bootspec::Bootspec;
use store_files::StoreFiles;

/// What a boot loader needs could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{attribute}")]
pub struct BootError {
    /// The attribute that asks for it.
    pub attribute: String,
    /// What is wrong.
    pub source: BootFault,
}

impl BootError {
    /// Whether another request is needed, for this one can never be built.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        !matches!(
            self.source,
            BootFault::Read { .. } | BootFault::LoaderScan { .. }
        )
    }
}

/// What `files` ask for, from the trees of a closure, with `time` as the time of every file
/// and the day on which the system was built.
///
/// All is root's: directories 0755 (GRUB's 0700, as it makes it itself), files 0644. A
/// directory that is there already keeps its metadata.
pub fn place(
    files: &BootFiles,
    closure: &[(StorePath, Tree)],
    time: Timestamp,
) -> Result<Placed, BootError> {
    place_within(files, closure, time).map_err(|source| BootError {
        attribute: files.attribute.clone(),
        source,
    })
}

fn place_within(
    files: &BootFiles,
    closure: &[(StorePath, Tree)],
    time: Timestamp,
) -> Result<Placed, BootFault> {
    let system = match &files.loader {
        BootLoader::SystemdBoot(options) => &options.system,
        BootLoader::Grub(options) => &options.system,
        BootLoader::Extlinux(options) => &options.system,
    };
    let store = StoreFiles::new(closure);
    let bootspec = Bootspec::of(&store, system)?;
    let mut tree = BootTree::new(time);
    match &files.loader {
        BootLoader::SystemdBoot(options) => {
            systemd_boot::put(&mut tree, &store, &bootspec, options)?;
        }
        BootLoader::Grub(options) => {
            grub::put(&mut tree, &store, &bootspec, options, &files.target)?;
        }
        BootLoader::Extlinux(options) => {
            extlinux::put(&mut tree, &store, &bootspec, options)?;
        }
    }
    Ok(tree.placed(Path::new(&bootspec.path).into(), files.target.clone()))
}
