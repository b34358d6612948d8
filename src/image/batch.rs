//! Cutting an image: into stretches, each for one thread, and these into batches, the unit
//! in which bytes are made and written.

use std::ops::{Range, RangeInclusive};

use super::share::shareable_bytes;
use super::{Content, Piece, Pieces};
use crate::source::{ReadError, Reader, Watch};

/// Bytes of an image from one place to another, with the holes between them.
#[derive(Debug)]
pub(super) struct Stretch {
    pub range: Range<u64>,
    /// Place of the piece that the range begins in.
    first: usize,
    /// Steps in which it is made: a piece is one, and of what is encoded each block.
    pub steps: i64,
    /// Whom it must wait for, or go with.
    pub order: Order,
}

/// When a stretch may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// At any time.
    Any,
    /// After all stretches of the same stream that stand before it.
    Stream(u32),
    /// When all else is made.
    Late,
}

/// Adjacent bytes of an image, all of them covered by pieces.
#[derive(Clone, Debug)]
pub(super) struct Batch<'a> {
    /// Bytes of the image.
    pub range: Range<u64>,
    /// Whether the host may have these bytes once, here and in the file that they come from.
    pub is_shareable: bool,
    /// From the piece that the range begins in.
    pieces: &'a [Piece],
}

/// Bytes of a batch, but where something that is encoded as a whole has more: large
/// enough that a system call costs nothing beside the copy, and small enough for the
/// cache of a core.
pub(super) const BATCH_BYTES: u64 = 512 << 10;

/// Bytes of what is encoded that take about as long to be made as a small file.
const BLOCK_BYTES: u64 = 4 << 10;

/// Into so many stretches an image is cut: some for each thread of a large machine, so that
/// all end at once, and few beside the memory for a filesystem of terabytes.
const STRETCHES: u64 = 4096;

/// Bytes of a stretch that is copied, at least and at most.
const STRETCH_BYTES: RangeInclusive<u64> = 1 << 20..=64 << 20;

/// Bytes of the longest stretch that is shared: the kernel takes no more at once.
const LONGEST_SHARED: u64 = 1 << 30;

/// Stretches that hold all pieces, in order. What can be shared is cut as `sharing` says.
pub(super) fn stretches(pieces: &Pieces, sharing: bool) -> Vec<Stretch> {
    // Whole batches are whole pages too: bytes of a file that stand elsewhere in their page than
    // in that of the image take longer to be copied.
    let most = (pieces.covered() / STRETCHES)
        .clamp(*STRETCH_BYTES.start(), *STRETCH_BYTES.end())
        .next_multiple_of(BATCH_BYTES);
    let mut stretches: Vec<Stretch> = Vec::new();
    for (index, piece) in pieces.as_slice().iter().enumerate() {
        let end = piece.offset + piece.length;
        let order = order(&piece.content);
        let mut at = piece.offset;
        while at < end {
            let room = |stretch: &Stretch| (stretch.range.start + most).saturating_sub(at);
            let mut stretch = stretches
                .pop_if(|last| room(last) > 0 && last.joins(order))
                .unwrap_or(Stretch {
                    range: at..at,
                    first: index,
                    steps: 0,
                    order,
                });
            if stretch.order == Order::Any {
                stretch.order = order;
            }
            at = match piece.content {
                // What is encoded as a whole is not cut.
                Content::Encoded(_) => end,
                _ if sharing && shareable_bytes(piece, at) > 0 => end.min(at + LONGEST_SHARED),
                _ => end.min(at + room(&stretch)),
            };
            stretch.range.end = at;
            stretch.steps += match piece.content {
                Content::Encoded(_) => piece.length.div_ceil(BLOCK_BYTES).cast_signed(),
                _ => 1,
            };
            stretches.push(stretch);
        }
    }
    stretches
}

fn order(content: &Content) -> Order {
    match content {
        Content::Source { source, .. } if source.is_late() => Order::Late,
        Content::Source { source, .. } => source
            .mark
            .map_or(Order::Any, |mark| Order::Stream(mark.stream())),
        Content::Encoded(_) | Content::Zeros => Order::Any,
    }
}

impl Stretch {
    /// Whether a piece of this order may stand in it.
    fn joins(&self, order: Order) -> bool {
        order == Order::Any || self.order == Order::Any || self.order == order
    }

    /// Bytes of the image, holes too.
    pub(super) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The batches in it, in order; what can be shared is in batches of its own if it is
    /// to be.
    pub(super) fn batches<'a>(
        &self,
        pieces: &'a Pieces,
        sharing: bool,
    ) -> impl Iterator<Item = Batch<'a>> + use<'a> {
        let mut pieces = &pieces.as_slice()[self.first..];
        let Range { start: mut at, end } = self.range;
        std::iter::from_fn(move || {
            let batch = next_batch(&mut pieces, at..end, sharing)?;
            at = batch.range.end;
            Some(batch)
        })
    }
}

/// The first batch within `range`, of whose `pieces` those before it are dropped.
fn next_batch<'a>(pieces: &mut &'a [Piece], range: Range<u64>, sharing: bool) -> Option<Batch<'a>> {
    let ended = |piece: &Piece| piece.offset + piece.length <= range.start;
    while let Some((first, rest)) = pieces.split_first()
        && ended(first)
    {
        *pieces = rest;
    }
    let first = pieces.first()?;
    let start = first.offset.max(range.start);
    if start >= range.end {
        return None;
    }
    let shared_from = |piece, at| {
        if sharing {
            shareable_bytes(piece, at)
        } else {
            0
        }
    };
    let shared = shared_from(first, start);
    let batch = |end, is_shareable| Batch {
        range: start..end,
        is_shareable,
        pieces,
    };
    if shared > 0 {
        return Some(batch(range.end.min(start + shared), true));
    }
    let full = range.end.min(start + BATCH_BYTES);
    let mut end = start;
    for piece in *pieces {
        let is_next = piece.offset <= end && end < full;
        if !is_next || shared_from(piece, end) > 0 {
            break;
        }
        let piece_end = piece.offset + piece.length;
        end = match piece.content {
            Content::Encoded(_) => piece_end,
            _ => piece_end.min(full),
        };
    }
    Some(batch(end, false))
}

impl Batch<'_> {
    /// Shows `bytes` of the batch, which are made and stand at `from` in the image, to
    /// `watch`.
    pub(super) fn show(&self, from: u64, bytes: &[u8], watch: &dyn Watch) {
        for (piece, start, end) in self.parts(from..from + bytes.len() as u64) {
            let Content::Source { source, skip } = &piece.content else {
                continue;
            };
            let Some(mark) = source.mark else { continue };
            let at = skip + start - piece.offset;
            let length = (end - start).min(source.length.saturating_sub(at));
            let bytes = &bytes[in_memory(start - from)..][..in_memory(length)];
            watch.see(mark, at, bytes);
        }
    }

    /// The pieces in `range`, each with the bytes of the image, from and to, that it has
    /// there.
    fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (&Piece, u64, u64)> {
        let Range { start, end } = range;
        self.pieces
            .iter()
            .take_while(move |piece| piece.offset < end)
            .map(move |piece| {
                let piece_end = piece.offset + piece.length;
                (piece, piece.offset.max(start), piece_end.min(end))
            })
    }

    /// Makes the bytes of the batch that stand at `range` in the image, in `buffer`,
    /// whatever it held before. Before each piece, `pause` may do something else.
    pub(super) fn fill(
        &self,
        range: Range<u64>,
        reader: &mut Reader,
        buffer: &mut Vec<u8>,
        mut pause: impl FnMut(),
    ) -> Result<(), ReadError> {
        let from = range.start;
        let length = in_memory(range.end - from);
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer.truncate(length);
        for (piece, start, end) in self.parts(range) {
            pause();
            let bytes = &mut buffer[in_memory(start - from)..in_memory(end - from)];
            fill(piece, start - piece.offset, reader, bytes)?;
        }
        Ok(())
    }

    /// Whether its bytes must be shown to a watch, wherever they go.
    pub(super) fn is_marked(&self) -> bool {
        let is_marked = |piece: &Piece| matches!(&piece.content, Content::Source { source, .. } if source.mark.is_some());
        self.parts(self.range.clone())
            .any(|(piece, ..)| is_marked(piece))
    }

    /// The piece that all of the batch is of, which is shareable.
    pub(super) fn shared_piece(&self) -> &Piece {
        &self.pieces[0]
    }
}

/// The bytes of `piece` from `skip` on.
fn fill(piece: &Piece, skip: u64, reader: &mut Reader, bytes: &mut [u8]) -> Result<(), ReadError> {
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
                reader.read_at(source, start, content)?;
            }
        }
    }
    Ok(())
}

fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a batch is made in memory")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::image::Encode;
    use crate::source::{HostDirectory, HostFile, Mark, Origin, Source};
    use crate::tree::Name;

    #[derive(Debug)]
    struct Structure;

    impl Encode for Structure {
        fn encode(&self, _: &mut [u8]) {}
    }

    fn host_file(length: u64, stream: Option<u32>) -> Content {
        let file = HostFile {
            directory: Arc::new(HostDirectory::new(std::path::Path::new(
                "/nobody/opens/this",
            ))),
            name: Name::new("file").unwrap(),
        };
        let mut source = Source::new(length, Origin::HostFile(file));
        source.mark = stream.map(|stream| Mark::new(stream, 0));
        Content::Source { source, skip: 0 }
    }

    fn content(kind: u32, length: u64) -> Content {
        match kind {
            0 => Content::Zeros,
            1 => Content::Encoded(Arc::new(Structure)),
            2 => Content::Source {
                source: Source::late(length).0,
                skip: 0,
            },
            3 => host_file(length, None),
            stream => host_file(length, Some(stream)),
        }
    }

    /// Pieces of all kinds, next to one another or with holes between them.
    fn images() -> impl Strategy<Value = Pieces> {
        let piece = (0..3_u64, 0..1000_u64, 0..7_u32, 0..5000_u64);
        prop::collection::vec(piece, 0..60).prop_map(|specs| {
            let mut end = 0;
            let mut pieces = Vec::new();
            for (gap, blocks, kind, odd) in specs {
                let offset = end + gap * 4096;
                let length = 4096 * blocks;
                pieces.push(Piece {
                    offset,
                    length,
                    content: content(kind, length.saturating_sub(odd)),
                });
                end = offset + length;
            }
            Pieces::new(end, pieces)
        })
    }

    /// Ranges of which none touches the next.
    fn merged(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => merged.push(range),
            }
        }
        merged
    }

    proptest! {
        #[test]
        fn batches_hold_every_piece_once(pieces in images(), sharing: bool) {
            let range = |piece: &Piece| piece.offset..piece.offset + piece.length;
            let is_encoded = |piece: &Piece| matches!(piece.content, Content::Encoded(_));
            let mut ranges = Vec::new();
            for stretch in stretches(&pieces, sharing) {
                for batch in stretch.batches(&pieces, sharing) {
                    let held: Vec<_> = batch.parts(batch.range.clone()).collect();
                    for (piece, start, end) in &held {
                        let order = order(&piece.content);
                        prop_assert!(order == Order::Any || order == stretch.order);
                        prop_assert!(!is_encoded(piece) || (*start..*end) == range(piece));
                    }
                    if batch.is_shareable {
                        prop_assert!(sharing && held.len() == 1);
                        prop_assert_eq!(batch.range.start % 4096, 0);
                        prop_assert_eq!(batch.range.end % 4096, 0);
                    } else {
                        let length = batch.range.end - batch.range.start;
                        let has_encoded = held.iter().any(|(piece, ..)| is_encoded(piece));
                        prop_assert!(length <= BATCH_BYTES || has_encoded);
                    }
                    ranges.push(batch.range);
                }
            }
            prop_assert_eq!(
                merged(ranges.into_iter()),
                merged(pieces.as_slice().iter().map(range))
            );
        }
    }

    #[test]
    fn steps_are_pieces_and_blocks_of_what_is_encoded() {
        let piece = |offset, content| Piece {
            offset,
            length: 64 << 10,
            content,
        };
        let encoded = Content::Encoded(Arc::new(Structure));
        let contents = [host_file(64 << 10, None), encoded, Content::Zeros];
        let pieces = (0..).step_by(64 << 10).zip(contents);
        let pieces = pieces.map(|(offset, content)| piece(offset, content));
        let pieces = Pieces::new(192 << 10, pieces.collect());
        let [stretch] = &stretches(&pieces, false)[..] else {
            panic!("several stretches");
        };
        assert_eq!(stretch.steps, 1 + 16 + 1);
    }

    #[test]
    fn the_batches_of_a_large_image_are_of_whole_pages() {
        let length = (5 << 30) + 4096;
        let piece = Piece {
            offset: 0,
            length,
            content: host_file(length, None),
        };
        let pieces = Pieces::new(length, vec![piece]);
        for stretch in stretches(&pieces, false) {
            for Batch { range, .. } in stretch.batches(&pieces, false) {
                let page = |at: u64| at % 4096;
                assert_eq!((page(range.start), page(range.end)), (0, 0), "{range:?}");
            }
        }
    }

    #[test]
    fn stretches_are_few_however_large_an_image_is() {
        let length = 16 << 40;
        let piece = Piece {
            offset: 0,
            length,
            content: host_file(length, None),
        };
        let pieces = Pieces::new(length, vec![piece]);
        assert_eq!(stretches(&pieces, false).len(), 16 << (40 - 26));
        assert_eq!(stretches(&pieces, true).len(), 16 << (40 - 30));
    }
}
