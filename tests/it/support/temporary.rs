//! Temporary directories, in memory where there is enough of it.

use std::path::PathBuf;

use tempfile::TempDir;

/// Below this much free space /dev/shm is left alone: containers have little.
const ENOUGH_BYTES: u64 = 4 << 30;

/// A new directory, gone with the value: in `TMPDIR`, else /dev/shm, else /tmp.
#[track_caller]
pub(crate) fn directory() -> TempDir {
    let parent = parent();
    match tempfile::Builder::new()
        .prefix("nix2image-")
        .tempdir_in(&parent)
    {
        Ok(directory) => directory,
        Err(error) => panic!("no temporary directory in {}: {error}", parent.display()),
    }
}

fn parent() -> PathBuf {
    let has_space = |directory: &str| {
        rustix::fs::statvfs(directory)
            .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) >= ENOUGH_BYTES)
    };
    match std::env::var_os("TMPDIR") {
        Some(directory) => directory.into(),
        None if has_space("/dev/shm") => "/dev/shm".into(),
        None => "/tmp".into(),
    }
}
