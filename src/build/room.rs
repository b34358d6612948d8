//! A host that has no room for an image: what it takes, and where.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::BuildError;
use crate::image::{Contained, WriteError};

/// The filesystem of the output has no room for the image.
#[derive(Debug, thiserror::Error)]
#[error(
    "the filesystem of {} has no room for the image, which takes {}{bytes} bytes there{}, and was refused at its byte {offset}; make room, as `nix-collect-garbage` does in a store, or ask for a smaller image",
    directory.display(),
    if *is_compressed { "at most " } else { "" },
    if *is_compressed { ", compressed mostly fewer" } else { "" }
)]
pub struct NoRoom {
    /// The directory of the output.
    pub directory: PathBuf,
    /// Bytes that the image takes, before it is compressed.
    pub bytes: u64,
    /// Whether it is compressed.
    pub is_compressed: bool,
    /// Bytes of the image before those that had no room.
    pub offset: u64,
    /// The system's reason.
    pub source: io::Error,
}

/// Says of an image that could not be written into `directory` for want of room how much it
/// takes there. Every other error stays as it is.
pub(super) fn explain(error: BuildError, directory: &Path, image: &Contained) -> BuildError {
    let (offset, source) = match error {
        BuildError::Write(WriteError::Write { offset, source }) if is_want_of_room(&source) => {
            (offset, source)
        }
        BuildError::Write(WriteError::Size { source, .. }) if is_want_of_room(&source) => {
            (0, source)
        }
        error => return error,
    };
    NoRoom {
        directory: directory.into(),
        bytes: image.bytes_on_host(),
        is_compressed: image.is_compressed(),
        offset,
        source,
    }
    .into()
}

fn is_want_of_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}
