//! Cutting pieces into batches: the unit in which a thread makes and writes bytes.

use std::ops::Range;

use super::{Content, Piece, Pieces};
use crate::source::ReadError;

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
            let mut batch = batches
                .pop_if(|last| last.range.end == at && last.room() > 0)
                .unwrap_or(Batch {
                    range: at..at,
                    first: index,
                });
            at = match piece.content {
                // What is encoded as a whole is not cut.
                Content::Encoded(_) => end,
                _ => end.min(at + batch.room()),
            };
            batch.range.end = at;
            batches.push(batch);
        }
    }
    batches
}

impl Batch {
    /// Bytes that it may still take.
    fn room(&self) -> u64 {
        BATCH_BYTES.saturating_sub(self.range.end - self.range.start)
    }

    /// Makes the bytes of the batch in `buffer`, whatever it held before.
    pub(super) fn fill(&self, pieces: &Pieces, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
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
fn fill(piece: &Piece, skip: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
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
                source.read_at(start, content)?;
            }
        }
    }
    Ok(())
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a batch is made in memory")
}
