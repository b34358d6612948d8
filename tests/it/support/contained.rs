//! Images in containers, as files.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nix2image::image::{Contained, Container, Identity, Pieces, WriteError};
use nix2image::job::Job;
use tempfile::TempDir;

use super::temporary;

/// A file in a container, gone with this value.
pub(crate) struct Written(TempDir);

impl Written {
    /// `pieces` in `container`, written by `threads` threads.
    #[track_caller]
    pub(crate) fn new(pieces: Pieces, container: Container, threads: usize) -> Self {
        let written = Self(temporary::directory());
        let image = Contained::new(pieces, container, Identity(*b"nix2image tests.")).unwrap();
        let file = File::create_new(written.path()).unwrap();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let write = || image.write_watched::<WriteError>(&file, &(), || Ok(()), &Job::default());
        pool.install(write).unwrap();
        written
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("image")
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.path().metadata().unwrap().len()
    }

    pub(crate) fn allocated_bytes(&self) -> u64 {
        self.path().metadata().unwrap().blocks() * 512
    }
}
