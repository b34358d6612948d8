//! Cutting pieces into batches: the unit in which a thread makes and writes bytes.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Content, Piece, Pieces, WriteError};
use crate::source::{Origin, Source};

/// Adjacent bytes of an image, all of them covered by pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Bytes of the image.
    pub range: Range<u64>,
    /// Place of the piece that the range begins in.
    first: usize,
}

/// Bytes of a batch, but where something that is encoded as a whole has more: large
/// enough that a system call costs nothing beside the copy, and small enough for the
/// cache of a core.
const BATCH_BYTES: u64 = 1 << 20;

/// Batches that cover all pieces, in order.
pub(super) fn batches(pieces: &Pieces) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (index, piece) in pieces.as_slice().iter().enumerate() {
        let end = piece.offset + piece.length;
        let mut at = piece.offset;
        while at < end {
            let room = match batches.last_mut() {
                Some(batch) if batch.range.end == at => {
                    BATCH_BYTES.saturating_sub(batch.range.end - batch.range.start)
                }
                _ => 0,
            };
            let length = match piece.content {
                Content::Encoded(_) if room > 0 => end - at,
                _ => (end - at).min(room),
            };
            match batches.last_mut() {
                Some(batch) if length > 0 => {
                    batch.range.end += length;
                    at += length;
                }
                _ => batches.push(Batch {
                    range: at..at,
                    first: index,
                }),
            }
        }
    }
    batches
}

impl Batch {
    /// Makes the bytes of the batch in `buffer`, whatever it held before.
    pub(super) fn fill(&self, pieces: &Pieces, buffer: &mut Vec<u8>) -> Result<(), WriteError> {
        let length = in_memory(self.range.end - self.range.start);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer.truncate(length);
        for piece in &pieces.as_slice()[self.first..] {
            if piece.offset >= self.range.end {
                break;
            }
            let from = piece.offset.max(self.range.start);
            let to = (piece.offset + piece.length).min(self.range.end);
            let bytes =
                &mut buffer[in_memory(from - self.range.start)..in_memory(to - self.range.start)];
            fill(piece, from - piece.offset, bytes)?;
        }
        Ok(())
    }
}

/// The bytes of `piece` from `skip` on.
fn fill(piece: &Piece, skip: u64, bytes: &mut [u8]) -> Result<(), WriteError> {
    match &piece.content {
        Content::Zeros => bytes.fill(0),
        Content::Encoded(structure) => {
            bytes.fill(0);
            structure.encode(bytes);
        }
        Content::Source {
            source,
            skip: before,
        } => {
            let start = before + skip;
            let left = source.length.saturating_sub(start);
            let (content, padding) = bytes.split_at_mut(in_memory(left.min(bytes.len() as u64)));
            padding.fill(0);
            if !content.is_empty() {
                read(source, start, content)?;
            }
        }
    }
    Ok(())
}

/// Reads the bytes of `source` from `start` on.
fn read(source: &Source, start: u64, bytes: &mut [u8]) -> Result<(), WriteError> {
    match &source.origin {
        Origin::Bytes(all) => bytes.copy_from_slice(&all[in_memory(start)..][..bytes.len()]),
        Origin::HostFile(file) => read_whole_file(&file.path(), source.length, start, bytes)?,
        Origin::Range { path, offset } => {
            let read = File::open(path).and_then(|file| file.read_exact_at(bytes, offset + start));
            read.map_err(|error| read_error(path, error))?;
        }
    }
    Ok(())
}

/// Reads from a file of the host that must have the size that the scan saw.
fn read_whole_file(
    path: &Path,
    expected: u64,
    start: u64,
    bytes: &mut [u8],
) -> Result<(), WriteError> {
    let size_changed = |found| WriteError::SizeChanged {
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

fn read_error(path: &Path, source: io::Error) -> WriteError {
    WriteError::Read {
        path: path.into(),
        source,
    }
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a batch is made in memory")
}
