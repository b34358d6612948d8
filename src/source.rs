//! Where a file's bytes come from: a place, never the bytes of a closure in memory.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::tree::Name;

/// The content of a regular file: `length` bytes that lie at `origin`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Bytes.
    pub length: u64,
    /// The place that holds them.
    pub origin: Origin,
    /// The ranges of bytes that are not zero, in order, neither touching nor
    /// overlapping, each from a multiple of [`Source::GRAIN`] to another or the end; all
    /// bytes may be if not given.
    pub data: Option<Arc<[Range<u64>]>>,
}

/// A place that holds bytes.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A whole file of the host, whose size must still be [`Source::length`] when
    /// it is read.
    HostFile(HostFile),
    /// A part of a file of the host (an entry of a tar file, say), from `offset` bytes on.
    Range {
        /// The file that holds the bytes.
        path: Arc<Path>,
        /// Bytes from the start of that file.
        offset: u64,
    },
    /// Bytes at hand.
    Bytes(Arc<[u8]>),
}

/// A host file as its directory, which all files in it share, and its name.
#[derive(Clone, Debug)]
pub struct HostFile {
    /// Absolute path of the directory.
    pub directory: Arc<Path>,
    /// Name in it.
    pub name: Name,
}

impl Source {
    /// `length` bytes at `origin`, any of which may be zero.
    #[must_use]
    pub fn new(length: u64, origin: Origin) -> Self {
        Self {
            length,
            origin,
            data: None,
        }
    }

    /// Bytes that are zero together or not: a block of every filesystem of ours.
    pub const GRAIN: u64 = 4096;

    /// Bytes at hand as a source.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, Origin::Bytes(bytes))
    }
}

impl HostFile {
    /// The file's absolute path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(OsStr::from_bytes(self.name.as_bytes()))
    }
}
