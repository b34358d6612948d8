//! Where a file's bytes come from: a place, never the bytes of a closure in memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
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
    /// A part of a file that holds many sources (an entry of a tar file, say), from
    /// `offset` bytes on.
    Range {
        /// The file that holds the bytes.
        container: Arc<Container>,
        /// Bytes from the start of that file.
        offset: u64,
    },
    /// Bytes at hand.
    Bytes(Arc<[u8]>),
}

/// A file that holds many sources: a tar file, a NAR, a stream of NARs.
#[derive(Debug)]
pub struct Container {
    path: PathBuf,
    /// The bytes, where they are not those of the file at `path`.
    spool: Option<File>,
}

/// A host file as its directory, which all files in it share, and its name.
#[derive(Clone, Debug)]
pub struct HostFile {
    /// Absolute path of the directory.
    pub directory: Arc<Path>,
    /// Name in it.
    pub name: Name,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Read {
        /// The source.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It has another size than when it was scanned.
    #[error("{} changed while the image was built: it had {expected} bytes when it was scanned and has {found} now; build again when nothing writes to it", path.display())]
    SizeChanged {
        /// The source.
        path: PathBuf,
        /// Bytes at the scan.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
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

    /// Reads the bytes from `start` on, as many as `bytes` takes.
    ///
    /// # Panics
    ///
    /// If the source ends before.
    pub fn read_at(&self, start: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        match &self.origin {
            Origin::Bytes(all) => {
                let start = usize::try_from(start).expect("the bytes are in memory");
                bytes.copy_from_slice(&all[start..][..bytes.len()]);
                Ok(())
            }
            Origin::HostFile(file) => read_whole_file(&file.path(), self.length, start, bytes),
            Origin::Range { container, offset } => container
                .with_file(|file| file.read_exact_at(bytes, offset + start))
                .map_err(|error| read_error(&container.path, error)),
        }
    }

    /// Bytes at hand as a source.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, Origin::Bytes(bytes))
    }
}

impl Container {
    /// The file at `path`, which is opened for each read: there may be more of them than
    /// a process may open.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            spool: None,
        }
    }

    /// What was unpacked from the file at `path`.
    #[must_use]
    pub fn spooled(path: impl Into<PathBuf>, spool: File) -> Self {
        Self {
            path: path.into(),
            spool: Some(spool),
        }
    }

    /// The file that a user knows, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether offsets are those of what was unpacked, not of the file at the path.
    #[must_use]
    pub fn is_spooled(&self) -> bool {
        self.spool.is_some()
    }

    /// What `read` reads from the file that holds the bytes.
    pub fn with_file<T>(&self, read: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        match &self.spool {
            Some(spool) => read(spool),
            None => read(&File::open(&self.path)?),
        }
    }
}

impl HostFile {
    /// The file's absolute path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join(OsStr::from_bytes(self.name.as_bytes()))
    }
}

/// Reads from a file of the host that must have the size that the scan saw.
fn read_whole_file(
    path: &Path,
    expected: u64,
    start: u64,
    bytes: &mut [u8],
) -> Result<(), ReadError> {
    let size_changed = |found| ReadError::SizeChanged {
        path: path.into(),
        expected,
        found,
    };
    let file = File::open(path).map_err(|error| read_error(path, error))?;
    let size = || {
        file.metadata()
            .map(|metadata| metadata.len())
            .map_err(|error| read_error(path, error))
    };
    let found = size()?;
    if found != expected {
        return Err(size_changed(found));
    }
    match file.read_exact_at(bytes, start) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(size_changed(size()?)),
        read => read.map_err(|error| read_error(path, error)),
    }
}

fn read_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Read {
        path: path.into(),
        source,
    }
}
