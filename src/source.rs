//! Where a file's bytes come from: a place, never the bytes of a closure in memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::error::limit_to_raise;
use crate::tree::Name;

mod host_directory;
mod reader;

pub(crate) use host_directory::{Base, Obstacle, kind, obstacle};
pub use host_directory::{ChangedError, HostDirectory};
pub use reader::Reader;

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
    pub data: Option<Arc<Vec<Range<u64>>>>,
    /// Whether, and as what, the bytes are shown to a [`Watch`] while they are copied.
    pub mark: Option<Mark>,
}

/// A part of a stream: of a NAR, say, whose parts are the files of a store path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    stream: u32,
    /// One more than the part's number: so that a source without a mark needs no room to
    /// say so.
    next_part: NonZeroU32,
}

/// Sees the bytes of marked sources while they are copied, so that nobody need read them
/// twice.
pub trait Watch: Sync {
    /// Sees `bytes` of the part `mark`, which stand there from `start` on. Of one stream
    /// bytes come one after another, in the order of parts and within them; what is left
    /// out is zero.
    fn see(&self, mark: Mark, start: u64, bytes: &[u8]);
}

/// Nobody watches.
impl Watch for () {
    fn see(&self, _: Mark, _: u64, _: &[u8]) {}
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
    /// Bytes that will be at hand when all else is copied.
    Late(Arc<Late>),
}

/// Bytes of known length that are not known before all other sources are copied: what
/// holds their hashes, say.
#[derive(Debug)]
pub struct Late {
    length: u64,
    bytes: OnceLock<Box<[u8]>>,
}

/// A file that holds many sources: a tar file, a NAR, a stream of NARs.
#[derive(Debug)]
pub struct Container {
    path: PathBuf,
    place: Place,
}

/// The file that holds the bytes of a container.
#[derive(Debug)]
enum Place {
    /// That at the container's path.
    Path,
    /// The same, reached through directories alone.
    Host(HostFile),
    /// The same, kept open.
    Open(File),
    /// Another, of what was unpacked.
    Spool(File),
}

/// A host file as its directory, which all files in it share, and its name.
#[derive(Clone, Debug)]
pub struct HostFile {
    /// Where it is.
    pub directory: Arc<HostDirectory>,
    /// Name in it.
    pub name: Name,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read {}{}", path.display(), limit_to_raise(source))]
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
    /// It is no file any more, or cannot be reached through directories.
    #[error(transparent)]
    Changed(#[from] ChangedError),
}

impl Source {
    /// `length` bytes at `origin`, any of which may be zero.
    #[must_use]
    pub fn new(length: u64, origin: Origin) -> Self {
        Self {
            length,
            origin,
            data: None,
            mark: None,
        }
    }

    /// Bytes that are zero together or not: a block of every filesystem of ours.
    pub const GRAIN: u64 = 4096;

    /// Reads the bytes from `start` on, as many as `bytes` takes, as [`Reader::read_at`]
    /// does for one who reads many.
    pub fn read_at(&self, start: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        Reader::default().read_at(self, start, bytes)
    }

    /// Bytes at hand as a source.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, Origin::Bytes(bytes))
    }

    /// `length` bytes that come late, and what to give them to.
    #[must_use]
    pub fn late(length: u64) -> (Self, Arc<Late>) {
        let late = Arc::new(Late {
            length,
            bytes: OnceLock::new(),
        });
        (Self::new(length, Origin::Late(late.clone())), late)
    }

    /// Whether it can be read only when all else is copied.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(self.origin, Origin::Late(_))
    }
}

impl Mark {
    /// The part with this number of the stream with that one.
    ///
    /// # Panics
    ///
    /// If `part` is [`u32::MAX`].
    #[must_use]
    pub fn new(stream: u32, part: u32) -> Self {
        let next_part = NonZeroU32::MIN
            .checked_add(part)
            .expect("a tree has fewer files");
        Self { stream, next_part }
    }

    /// Which of the streams.
    #[must_use]
    pub fn stream(self) -> u32 {
        self.stream
    }

    /// Which of its parts, in their order.
    #[must_use]
    pub fn part(self) -> u32 {
        self.next_part.get() - 1
    }
}

impl Late {
    /// The bytes, which must have come.
    fn bytes(&self) -> &[u8] {
        self.bytes.get().expect("what is late is read last")
    }

    /// Now they are known.
    ///
    /// # Panics
    ///
    /// If they are more or fewer than was said, or were given before.
    pub fn set(&self, bytes: Vec<u8>) {
        assert_eq!(bytes.len() as u64, self.length, "the length was known");
        self.bytes
            .set(bytes.into())
            .expect("what is late comes once");
    }
}

impl Container {
    /// The file at `path`, which is opened for each read: there may be more of them than
    /// a process may open.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            place: Place::Path,
        }
    }

    /// A file of the host, which is opened for each read, through directories alone.
    #[must_use]
    pub fn host(file: HostFile) -> Self {
        Self {
            path: file.path(),
            place: Place::Host(file),
        }
    }

    /// The file at `path`, which is `file`, kept open.
    #[must_use]
    pub fn open(path: impl Into<PathBuf>, file: File) -> Self {
        Self {
            path: path.into(),
            place: Place::Open(file),
        }
    }

    /// What was unpacked from the file at `path`.
    #[must_use]
    pub fn spooled(path: impl Into<PathBuf>, spool: File) -> Self {
        Self {
            path: path.into(),
            place: Place::Spool(spool),
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
        matches!(self.place, Place::Spool(_))
    }

    /// What `read` reads from the file that holds the bytes.
    pub fn with_file<T>(&self, read: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
        match &self.place {
            Place::Open(file) | Place::Spool(file) => read(file),
            Place::Path => read(&File::open(&self.path)?),
            Place::Host(file) => read(&Reader::default().open(file).map_err(io::Error::other)?),
        }
    }

    /// Reads the bytes at `offset`, as many as `bytes` takes, with the directories of `reader`.
    fn read_at(&self, reader: &mut Reader, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        match &self.place {
            Place::Host(file) => reader.open(file)?.read_exact_at(bytes, offset),
            _ => self.with_file(|file| file.read_exact_at(bytes, offset)),
        }
        .map_err(|error| read_error(&self.path, error))
    }
}

impl HostFile {
    /// The file's absolute path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory
            .path()
            .join(OsStr::from_bytes(self.name.as_bytes()))
    }
}

impl From<Obstacle> for ReadError {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::System { path, errno } => read_error(&path, errno.into()),
            Obstacle::Changed(changed) => changed.into(),
        }
    }
}

fn read_error(path: &Path, source: io::Error) -> ReadError {
    ReadError::Read {
        path: path.into(),
        source,
    }
}
