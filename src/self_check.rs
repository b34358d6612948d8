//! The self check: every store path in the written image, read again by an independent
//! reader (the `ext4-view` crate), still has the NAR hash that Nix knows.

use std::fs::File;
use std::io;

use rayon::prelude::*;

use crate::image::{Container, PendingOutput};
use crate::inspect::{
    Disk, Ext4Files, Ext4Volume, FilesystemFault, Volume, WalkError, nar_digest, sparse,
};
use crate::job::{Job, Stopped};
use crate::store::{NarDigest, NarHash, StorePath, ValidPath};

/// Why an image is not right, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum SelfCheckError {
    /// A store path came out as another.
    #[error(
        "{path} is not in the image as Nix knows it: it should have the NAR hash {expected} and {expected_size} bytes, and has {found} and {found_size}; if `nix-store --verify-path {path}` finds it good, this is a bug of nix2image"
    )]
    Mismatch {
        /// The store path.
        path: StorePath,
        /// The hash of its NAR, as Nix knows it.
        expected: NarHash,
        /// Bytes of that NAR.
        expected_size: u64,
        /// The hash of what is in the image.
        found: NarHash,
        /// Bytes of that.
        found_size: u64,
    },
    /// The reader found no filesystem.
    #[error("the filesystem that was written cannot be read")]
    Filesystem(#[source] FilesystemFault),
    /// The disk is shorter than it should be.
    #[error(
        "the image that was written has {size} bytes, and its filesystem begins at byte {start}"
    )]
    Short {
        /// Bytes of the image.
        size: u64,
        /// Where the filesystem should begin.
        start: u64,
    },
    /// A store path has no NAR.
    #[error(transparent)]
    Path(#[from] WalkError),
    /// The image's file could not be opened once more.
    #[error("cannot open the written image to check it")]
    Open(#[source] io::Error),
    /// The image could not be unpacked.
    #[error(
        "cannot unpack the written image beside it for `selfCheck`, which needs room for both; make room, or check without `compression`"
    )]
    Decompress(#[source] io::Error),
    /// Somebody asked to stop.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Where in an image the store is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Byte of the image at which the filesystem begins.
    pub start: u64,
    /// The store's directory in the filesystem.
    pub store: &'static str,
}

/// Compares what is at `place` of the written image with `paths`. `container` is [`Raw`](Container::Raw) or [`Zstd`](Container::Zstd).
pub fn check(
    paths: &[ValidPath],
    output: &PendingOutput,
    container: Container,
    place: Place,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let image = match container {
        Container::Zstd { .. } => decompress(output, job).map_err(|error| match job.check() {
            Err(stopped) => stopped.into(),
            Ok(()) => SelfCheckError::Decompress(error),
        })?,
        Container::Raw | Container::Qcow2 { .. } | Container::Vhd { .. } => {
            output.file().try_clone().map_err(SelfCheckError::Open)?
        }
    };
    check_image(paths, image, place, job)
}

/// Unpacks the image into an unnamed file beside it.
fn decompress(output: &PendingOutput, job: &Job) -> io::Result<File> {
    let mut compressed = output.file();
    io::Seek::rewind(&mut compressed)?;
    let unpacked = tempfile::tempfile_in(output.parent())?;
    sparse::unpack(compressed, unpacked, job)
}

/// Compares what is at `place` of `image` with `paths`, on all threads.
fn check_image(
    paths: &[ValidPath],
    image: File,
    place: Place,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let volume = volume(image, place.start)?;
    let volume = Ext4Volume::check(&volume, job).map_err(|fault| match fault {
        FilesystemFault::Stopped(stopped) => stopped.into(),
        fault => SelfCheckError::Filesystem(fault),
    })?;
    // The reader stays on its thread, so each has its own.
    paths.par_iter().try_for_each_init(
        || None,
        |files, valid| {
            let files = match files {
                Some(files) => files,
                None => files.insert(Ext4Files::open(&volume).map_err(SelfCheckError::Filesystem)?),
            };
            check_path(files, place.store, valid, job)
        },
    )
}

/// All of `image` from `start` on.
fn volume(image: File, start: u64) -> Result<Volume, SelfCheckError> {
    let size = image.metadata().map_err(SelfCheckError::Open)?.len();
    let short = SelfCheckError::Short { size, start };
    let rest = size.checked_sub(start);
    let volume = rest.and_then(|rest| Disk::plain(image, size).volume(start, rest));
    volume.ok_or(short)
}

fn check_path(
    files: &Ext4Files,
    store: &str,
    valid: &ValidPath,
    job: &Job,
) -> Result<(), SelfCheckError> {
    let path = format!("{}/{}", store.trim_end_matches('/'), valid.path.base_name());
    let expected = NarDigest {
        hash: valid.nar_hash,
        size: valid.nar_size,
    };
    let found = nar_digest(files, path.as_bytes(), Some(expected), job)?;
    if found != expected {
        return Err(SelfCheckError::Mismatch {
            path: valid.path.clone(),
            expected: expected.hash,
            expected_size: expected.size,
            found: found.hash,
            found_size: found.size,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
