//! Why a binary cache could not be read.

use std::io;
use std::path::PathBuf;

use super::NarinfoError;
use crate::store::nar::NarReadError;
use crate::store::spool::SpoolError;
use crate::store::{NarHash, STORE_DIRECTORY, StorePath};

/// A binary cache that cannot be read, is broken, or lacks a path.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused.
    #[error("cannot read {}", path.display())]
    Read {
        /// The cache, or a file in it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file with a NAR cannot be opened.
    #[error("cannot read {}, the NAR of {path}; copy the path into the cache anew", file.display())]
    NarFile {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is of another store.
    #[error("{} says that the cache is of the store {found}, and not of {STORE_DIRECTORY}; its paths cannot stand elsewhere", file.display())]
    StoreDirectory {
        /// The file that says so.
        file: PathBuf,
        /// The store directory of the cache.
        found: String,
    },
    /// It lacks a path.
    #[error(
        "there is no {}, for {path}{}; copy all of the closure, as `nix copy --to file://CACHE` does",
        file.display(),
        referrer.as_ref().map(|referrer| format!(", to which {referrer} refers")).unwrap_or_default()
    )]
    Missing {
        /// The path.
        path: StorePath,
        /// The narinfo that is not there.
        file: PathBuf,
        /// A path that refers to it; none if it was asked for.
        referrer: Option<StorePath>,
    },
    /// A narinfo is no narinfo.
    #[error("{} is no narinfo", file.display())]
    Narinfo {
        /// The narinfo.
        file: PathBuf,
        /// What is wrong.
        source: NarinfoError,
    },
    /// A narinfo is of another path than its name says.
    #[error("{} is of {found}, and not of {path}; give the full path as the cache has it", file.display())]
    OtherPath {
        /// The narinfo.
        file: PathBuf,
        /// The path that was looked for.
        path: StorePath,
        /// The path that it is of.
        found: StorePath,
    },
    /// Together the NARs are larger than a file can be.
    #[error(
        "{}, unpacked, has more bytes than a file can hold; the largest NarSize is {size}, of {largest}: copy that path into the cache anew",
        cache.display()
    )]
    TooLarge {
        /// The cache.
        cache: PathBuf,
        /// The path whose NAR is the largest, as its narinfo says.
        largest: StorePath,
        /// Bytes of that.
        size: u64,
    },
    /// A temporary file cannot be made.
    #[error("cannot make a temporary file to unpack {} into; TMPDIR says where it would be", cache.display())]
    Spool {
        /// The cache.
        cache: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file has another size than its narinfo says.
    #[error("{} has {found} bytes, and the {key} of {path} is {expected}; copy the path into the cache anew", file.display())]
    Size {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// `"FileSize"` or `"NarSize"`.
        key: &'static str,
        /// Bytes that the narinfo says.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// A file has another hash than its narinfo says.
    #[error("{} has the hash {found}, and the FileHash of {path} is {expected}; copy the path into the cache anew", file.display())]
    Hash {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// What the narinfo says.
        expected: NarHash,
        /// The hash of the file; of one that is not compressed what `NarHash` says,
        /// which is checked later.
        found: NarHash,
    },
    /// A file could not be unpacked.
    #[error("cannot unpack {}, which is the NAR of {path}", file.display())]
    Unpack {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// The reason.
        source: SpoolError,
    },
    /// What a file holds is no NAR.
    #[error(
        "{} holds no NAR of {path}{}",
        file.display(),
        if *start > 0 { format!(" (what it unpacks to counts from byte {start})") } else { String::new() }
    )]
    Nar {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// The byte that the NAR's bytes are counted from.
        start: u64,
        /// What is wrong.
        source: NarReadError,
    },
    /// A NAR ends before its file does.
    #[error(
        "{} holds a NAR of {found} bytes, and the NarSize of {path} is {expected}; copy the path into the cache anew",
        file.display()
    )]
    NarEnd {
        /// The store path.
        path: StorePath,
        /// The file with its NAR.
        file: PathBuf,
        /// Bytes that the narinfo says.
        expected: u64,
        /// Bytes up to its end.
        found: u64,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}
