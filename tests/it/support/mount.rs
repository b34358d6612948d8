//! What the kernel has mounted: our images, and filesystems of the host.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::command::{describe, output, run, wait_for_starts};
use super::temporary;

/// A filesystem that the kernel has mounted; unmounted when this value goes, also in a
/// panic.
#[derive(Debug)]
pub(crate) struct Mounted {
    directory: TempDir,
}

impl Mounted {
    /// Mounts `image` through a loop device, without replaying its journal.
    #[track_caller]
    pub(crate) fn read_only(image: &Path) -> Self {
        Self::mount("ext4", "loop,ro,noload", image)
    }

    /// Mounts the filesystem of `kind` in the file `disk` through a loop device.
    #[track_caller]
    pub(crate) fn writable(kind: &str, disk: &Path) -> Self {
        Self::mount(kind, "loop", disk)
    }

    /// Mounts `image` through a loop device, where the Nix releases of `nix-in` see it too.
    #[track_caller]
    pub(crate) fn writable_where_every_nix_sees_it(image: &Path) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = tempfile::tempdir_in(target).unwrap();
        Self::mount_at(directory, "ext4", "loop", image)
    }

    /// Mounts an empty filesystem in memory.
    #[track_caller]
    pub(crate) fn tmpfs() -> Self {
        Self::mount("tmpfs", "mode=0755", Path::new("tmpfs"))
    }

    /// Mounts an empty filesystem in memory that has room for so many `bytes`.
    #[track_caller]
    pub(crate) fn tmpfs_of(bytes: u64) -> Self {
        let options = format!("mode=0755,size={bytes}");
        Self::mount("tmpfs", &options, Path::new("tmpfs"))
    }

    /// Mounts the directories `lower` and `upper` of `layers`, one over the other;
    /// `work` is the kernel's own.
    #[track_caller]
    pub(crate) fn overlay(layers: &Path) -> Self {
        let layers = layers.display();
        let options =
            format!("lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work");
        Self::mount("overlay", &options, Path::new("overlay"))
    }

    #[track_caller]
    fn mount(kind: &str, options: &str, what: &Path) -> Self {
        Self::mount_at(temporary::directory(), kind, options, what)
    }

    #[track_caller]
    fn mount_at(directory: TempDir, kind: &str, options: &str, what: &Path) -> Self {
        run(Command::new("mount")
            .args(["-t", kind, "-o", options])
            .arg(what)
            .arg(directory.path()));
        Self { directory }
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A sandbox that another test has just started holds all that was mounted for a moment, and
        // the filesystem lives on in it: it must be whole before.
        let mut settle = Command::new("mount");
        settle.args(["-o", "remount,ro"]).arg(self.root());
        let mut umount = Command::new("umount");
        umount.arg(self.root());
        wait_for_starts();
        for mut command in [settle, umount] {
            let output = output(&mut command);
            // A second panic would hide the first.
            if !std::thread::panicking() {
                assert!(output.status.success(), "{}", describe(&command, &output));
            }
        }
    }
}
