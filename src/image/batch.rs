//! Cutting pieces into batches: the unit in which a thread makes and writes bytes.

use std::ops::Range;

use super::{Content, Piece, Pieces};
use crate::source::{ReadError, Watch};

/// Adjacent bytes of an image, all of them covered by pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Bytes of the image.
    pub range: Range<u64>,
    /// Whom it must wait for, or go with.
    pub order: Order,
    /// Place of the piece that the range begins in.
    first: usize,
}

/// When a batch may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// At any time.
    Any,
    /// After all batches of the same stream that stand before it.
    Stream(u32),
    /// When all else is made.
    Late,
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
        let order = order(&piece.content);
        while at < end {
            let mut batch = batches
                .pop_if(|last| last.range.end == at && last.room() > 0 && last.joins(order))
                .unwrap_or(Batch {
                    range: at..at,
                    order,
                    first: index,
                });
            if batch.order == Order::Any {
                batch.order = order;
            }
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

fn order(content: &Content) -> Order {
    match content {
        Content::Source { source, .. } if source.is_late() => Order::Late,
        Content::Source { source, .. } => source
            .mark
            .map_or(Order::Any, |mark| Order::Stream(mark.stream)),
        Content::Encoded(_) | Content::Zeros => Order::Any,
    }
}

impl Batch {
    /// Whether a piece of this order may stand in it.
    fn joins(&self, order: Order) -> bool {
        order == Order::Any || self.order == Order::Any || self.order == order
    }

    /// Bytes that it may still take.
    fn room(&self) -> u64 {
        BATCH_BYTES.saturating_sub(self.range.end - self.range.start)
    }

    /// Shows the bytes of the batch, which are made, to `watch`.
    pub(super) fn show(&self, pieces: &Pieces, buffer: &[u8], watch: &dyn Watch) {
        if !matches!(self.order, Order::Stream(_)) {
            return;
        }
        for (piece, from, to) in self.parts(pieces) {
            let Content::Source { source, skip } = &piece.content else {
                continue;
            };
            let Some(mark) = source.mark else { continue };
            let start = skip + from - piece.offset;
            let length = (to - from).min(source.length.saturating_sub(start));
            let bytes = &buffer[in_memory(from - self.range.start)..][..in_memory(length)];
            watch.see(mark, start, bytes);
        }
    }

    /// The pieces in it, each with the bytes of the image, from and to, that it has here.
    fn parts<'a>(&self, pieces: &'a Pieces) -> impl Iterator<Item = (&'a Piece, u64, u64)> {
        let Range { start, end } = self.range;
        pieces.as_slice()[self.first..]
            .iter()
            .take_while(move |piece| piece.offset < end)
            .map(move |piece| {
                let piece_end = piece.offset + piece.length;
                (piece, piece.offset.max(start), piece_end.min(end))
            })
    }

    /// Makes the bytes of the batch in `buffer`, whatever it held before.
    pub(super) fn fill(&self, pieces: &Pieces, buffer: &mut Vec<u8>) -> Result<(), ReadError> {
        let length = in_memory(self.range.end - self.range.start);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer.truncate(length);
        for (piece, from, to) in self.parts(pieces) {
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
