//! A tmpfs of huge pages: what a write to a file costs beside its bytes is the page, and here
//! there is one where others have 512.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// As large as they get without memory that a file does not have: no file takes more of them
/// than its size has room for.
const OPTIONS: &str = "huge=within_size,size=100%";

/// Mounted while this lives.
pub(super) struct HugePages {
    root: PathBuf,
}

impl HugePages {
    /// Mounts one in `directory`.
    pub(super) fn mount(directory: &Path) -> Result<Self> {
        let root = directory.join("huge-pages");
        fs::create_dir_all(&root)?;
        mount(
            None::<&str>,
            &root,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(OPTIONS),
        )
        .with_context(|| format!("mounting a tmpfs with {OPTIONS} on {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.root, MntFlags::MNT_DETACH) {
            eprintln!("    still mounted: {}: {error}", self.root.display());
        }
    }
}
