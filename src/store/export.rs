//! Exports: what `nix-store --export` writes, store paths with their NARs in one stream.
//!
//! ```text
//! export     = { 1 nar 0x4558494e path references deriver signature } 0
//! references = count { path }
//! deriver    = "" | path
//! signature  = 0 | 1 text
//! ```
//!
//! Integers and strings are as in a NAR. Nix has not signed exports for long; deriver and
//! signature are dropped. The same from Nix 2.3 to 2.36.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::nar::{NarReadError, read_tree_from};
use super::stream::{Reader, StreamError};
use super::{Content, Member, StorePath, StorePathError};
use crate::source::Container;
use crate::tree::Timestamp;

/// Opens an export, for [`read_export`] and for its files' bytes. One that is compressed
/// with zstd, whatever its name, is unpacked into an unnamed file in `spool_directory`, or
/// in `$TMPDIR` or `/tmp` if that is not given. `interrupt` may stop that.
pub fn open_export(
    path: &Path,
    spool_directory: Option<&Path>,
    interrupt: &AtomicBool,
) -> Result<Arc<Container>, ExportError> {
    let open_error = |source| ExportError::Open {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(open_error)?;
    if !file.metadata().map_err(open_error)?.is_file() {
        return Err(ExportError::NoFile { path: path.into() });
    }
    if !begins_with_zstd(&file).map_err(open_error)? {
        return Ok(Arc::new(Container::open(path, file)));
    }
    let mut spool = match spool_directory {
        Some(directory) => tempfile::tempfile_in(directory),
        None => tempfile::tempfile(),
    }
    .map_err(|source| ExportError::Spool {
        path: path.into(),
        source,
    })?;
    unpack(path, &file, &mut spool, interrupt)?;
    Ok(Arc::new(Container::spooled(path, spool)))
}

/// Reads all of an export: its store paths, in its order, with trees whose files lie in
/// the container. Their hashes and content addresses are not in it.
pub fn read_export(
    container: &Arc<Container>,
    mtime: Timestamp,
) -> Result<Vec<Member>, ExportError> {
    let read = |file: &File| {
        let mut reader = Reader::new(file, 0, file.metadata()?.len());
        Ok(read_members(&mut reader, container, mtime))
    };
    container
        .with_file(read)
        .map_err(|source| ExportError::Open {
            path: container.path().into(),
            source,
        })?
        .map_err(|source| ExportError::Broken {
            path: container.path().into(),
            unpacked: container.is_spooled(),
            source,
        })
}

/// Why an export is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The system refused.
    #[error("cannot read the export {}", path.display())]
    Open {
        /// The export.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It can only be read once, from its start on.
    #[error("the export {} is no regular file; write it to one", path.display())]
    NoFile {
        /// The export.
        path: PathBuf,
    },
    /// What is compressed cannot be unpacked.
    #[error("cannot unpack the export {}, which begins as zstd does; it is broken or incomplete", path.display())]
    Unpack {
        /// The export.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is no place for what is unpacked.
    #[error("cannot unpack the export {} to a temporary file; set TMPDIR to a directory with room for it", path.display())]
    Spool {
        /// The export.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no thread for the unpacking.
    #[error("cannot start a thread to unpack the export {}; allow more processes (`ulimit -u`) or memory (`ulimit -v`)", path.display())]
    Thread {
        /// The export.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// It is not what `nix-store --export` writes.
    #[error("{}{} is not what nix-store --export writes; write it anew", path.display(), if *unpacked { ", unpacked," } else { "" })]
    Broken {
        /// The export.
        path: PathBuf,
        /// Whether offsets are those of the stream that it was unpacked to.
        unpacked: bool,
        /// What is wrong, and where.
        source: ExportFault,
    },
}

/// What is wrong with an export. Offsets count from the start of its stream.
#[derive(Debug, thiserror::Error)]
pub enum ExportFault {
    /// A NAR in it.
    #[error(transparent)]
    Nar(#[from] NarReadError),
    /// Something that is no string or integer, or is cut off.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A number that the format does not have here.
    #[error("byte {offset}: the number {found:#x} stands where an export has {expected}")]
    Number {
        /// Where it begins.
        offset: u64,
        /// What an export has there.
        expected: &'static str,
        /// The number.
        found: u64,
    },
    /// A path that is not in the store.
    #[error(
        "byte {offset}: an export holds paths of {} only",
        super::STORE_DIRECTORY
    )]
    Path {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A store path that was there before.
    #[error("byte {offset}: {path} is in the export twice")]
    Twice {
        /// Where it is named the second time.
        offset: u64,
        /// The path.
        path: StorePath,
    },
    /// Something after the end.
    #[error(
        "byte {offset}: the export ends here, and {left} bytes follow; give each export as a file of its own"
    )]
    Trailing {
        /// Where the export ends.
        offset: u64,
        /// Bytes after it.
        left: u64,
    },
}

/// The number between a NAR and what is said of it.
const MAGIC: u64 = 0x4558_494e;

/// The bytes that begin a frame of zstd.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of a path that is read: more than any store path has, so that others are named.
const MAX_PATH_LENGTH: u64 = 4095;

/// How many bytes are unpacked at once.
const UNPACK_BYTES: usize = 256 << 10;

/// How many such pieces are on their way to the disk.
const BUFFERS: usize = 2;

fn begins_with_zstd(file: &File) -> io::Result<bool> {
    let mut magic = [0; 4];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) => Ok(magic == ZSTD_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unpacks in this thread and writes in another, as `zstd -d` does: neither waits for the
/// other while two buffers go round.
fn unpack(
    path: &Path,
    from: &File,
    to: &mut File,
    interrupt: &AtomicBool,
) -> Result<(), ExportError> {
    let (full, to_write) = mpsc::sync_channel(BUFFERS);
    let (empty, to_fill) = mpsc::sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        let buffer = vec![0; UNPACK_BYTES];
        empty.send(buffer).expect("the receiver is at hand");
    }
    thread::scope(|scope| {
        let write = move || {
            for (buffer, filled) in to_write {
                let buffer: Vec<u8> = buffer;
                to.write_all(&buffer[..filled])?;
                empty.send(buffer).ok(); // nobody waits for it at the end
            }
            Ok(())
        };
        let writer = thread::Builder::new().spawn_scoped(scope, write);
        let writer = writer.map_err(|source| ExportError::Thread {
            path: path.into(),
            source,
        })?;
        let unpacked = decompress(path, from, interrupt, &to_fill, full);
        let written = writer.join().unwrap_or_else(|panic| resume_unwind(panic));
        unpacked?;
        written.map_err(|source| ExportError::Spool {
            path: path.into(),
            source,
        })
    })
}

/// Fills buffers until the end, or until the writer has failed and takes no more.
fn decompress(
    path: &Path,
    from: &File,
    interrupt: &AtomicBool,
    to_fill: &Receiver<Vec<u8>>,
    full: SyncSender<(Vec<u8>, usize)>,
) -> Result<(), ExportError> {
    let unpack_error = |source| ExportError::Unpack {
        path: path.into(),
        source,
    };
    let mut decoder = zstd::Decoder::new(from).map_err(unpack_error)?;
    while let Ok(mut buffer) = to_fill.recv() {
        if interrupt.load(Ordering::Relaxed) {
            return Err(ExportError::Interrupted);
        }
        let filled = read_up_to(&mut decoder, &mut buffer).map_err(unpack_error)?;
        if filled == 0 || full.send((buffer, filled)).is_err() {
            break;
        }
    }
    drop(full); // the writer ends when it has written all
    Ok(())
}

/// Fills all of `buffer` unless the end comes before: how many bytes there were.
fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_members(
    reader: &mut Reader<'_>,
    container: &Arc<Container>,
    mtime: Timestamp,
) -> Result<Vec<Member>, ExportFault> {
    let mut members = Vec::new();
    let mut seen = BTreeSet::new();
    while number(reader, [0, 1], "1 before a store path or 0 at its end")? == 1 {
        let tree = read_tree_from(reader, container, mtime)?;
        number(reader, [MAGIC], "0x4558494e, which follows a NAR")?;
        let offset = reader.position();
        let path = store_path(reader)?;
        if !seen.insert(path.clone()) {
            return Err(ExportFault::Twice { offset, path });
        }
        let offset = Some(reader.position());
        let references = references(reader)?;
        skip_deriver(reader)?;
        if number(reader, [0, 1], "0, or 1 before a signature")? == 1 {
            reader.skip_string()?;
        }
        members.push(Member {
            path,
            nar: None,
            references,
            ca: None,
            offset,
            content: Content::Stream(tree),
        });
    }
    let (offset, left) = (reader.position(), reader.left());
    if left > 0 {
        return Err(ExportFault::Trailing { offset, left });
    }
    Ok(members)
}

/// A number that is one of `allowed`.
fn number<const N: usize>(
    reader: &mut Reader<'_>,
    allowed: [u64; N],
    expected: &'static str,
) -> Result<u64, ExportFault> {
    let offset = reader.position();
    let found = reader.integer()?;
    if allowed.contains(&found) {
        return Ok(found);
    }
    Err(ExportFault::Number {
        offset,
        expected,
        found,
    })
}

/// Sorted, each once. Nothing is set aside for what the count claims.
fn references(reader: &mut Reader<'_>) -> Result<Vec<StorePath>, ExportFault> {
    let count = reader.integer()?;
    let mut references = BTreeSet::new();
    for _ in 0..count {
        references.insert(store_path(reader)?);
    }
    Ok(references.into_iter().collect())
}

fn store_path(reader: &mut Reader<'_>) -> Result<StorePath, ExportFault> {
    let offset = reader.position();
    let text = reader.string(MAX_PATH_LENGTH)?;
    parse_path(offset, text)
}

/// A deriver is empty if there is none.
fn skip_deriver(reader: &mut Reader<'_>) -> Result<(), ExportFault> {
    let offset = reader.position();
    match reader.string(MAX_PATH_LENGTH)? {
        b"" => Ok(()),
        text => parse_path(offset, text).map(drop),
    }
}

/// Bytes that are no UTF-8 are in no store path, nor is what stands for them.
fn parse_path(offset: u64, text: &[u8]) -> Result<StorePath, ExportFault> {
    StorePath::parse(&String::from_utf8_lossy(text))
        .map_err(|source| ExportFault::Path { offset, source })
}

#[cfg(test)]
mod tests;
