//! The kernel's view of an image.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::command::{describe, output, run};
use super::temporary;

/// An image that the kernel has mounted; unmounted when this value goes, also in
/// a panic.
#[derive(Debug)]
pub(crate) struct Mounted {
    directory: TempDir,
}

impl Mounted {
    /// Mounts `image` through a loop device, without replaying its journal.
    #[track_caller]
    pub(crate) fn read_only(image: &Path) -> Self {
        let directory = temporary::directory();
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop,ro,noload"])
            .arg(image)
            .arg(directory.path()));
        Self { directory }
    }

    /// The image's root directory.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        umount.arg(self.root());
        let output = output(&mut umount);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            assert!(output.status.success(), "{}", describe(&umount, &output));
        }
    }
}
