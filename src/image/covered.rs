//! Which blocks of an image its pieces cover: what a container has to hold.

use std::ops::Range;

use super::Pieces;

/// The blocks of an image of which a piece covers a byte. They have ranks, from 0 in the
/// image's order: a container stores them one behind the other.
#[derive(Debug)]
pub(super) struct Covered {
    block_bytes: u64,
    /// In order, with gaps between them.
    runs: Vec<Run>,
}

/// Blocks that follow one another.
#[derive(Debug)]
struct Run {
    blocks: Range<u64>,
    /// Rank of the first.
    rank: u64,
}

impl Covered {
    /// The blocks of `block_bytes` each that `pieces` cover.
    pub(super) fn new(pieces: &Pieces, block_bytes: u64) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for piece in pieces.as_slice() {
            let first = piece.offset / block_bytes;
            let end = (piece.offset + piece.length).div_ceil(block_bytes);
            match runs.last_mut() {
                Some(last) if last.blocks.end >= first => last.blocks.end = end,
                last => {
                    let rank = last.map_or(0, |last| last.end_rank());
                    runs.push(Run {
                        blocks: first..end,
                        rank,
                    });
                }
            }
        }
        Self { block_bytes, runs }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.runs.last().map_or(0, Run::end_rank)
    }

    /// Those among `blocks`, in order, each with its rank.
    pub(super) fn within(&self, blocks: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let Range { start, end } = blocks;
        self.runs[self.first_run_behind(start)..]
            .iter()
            .take_while(move |run| run.blocks.start < end)
            .flat_map(move |run| {
                let common = run.blocks.start.max(start)..run.blocks.end.min(end);
                common.map(|block| (block, run.rank + block - run.blocks.start))
            })
    }

    /// The rank of the block that holds the byte at `offset`, which a piece covers, and the
    /// byte's place in it.
    pub(super) fn place(&self, offset: u64) -> (u64, u64) {
        let block = offset / self.block_bytes;
        let run = &self.runs[self.first_run_behind(block)];
        (
            run.rank + block - run.blocks.start,
            offset % self.block_bytes,
        )
    }

    /// The first run that ends behind `block`.
    fn first_run_behind(&self, block: u64) -> usize {
        self.runs.partition_point(|run| run.blocks.end <= block)
    }
}

impl Run {
    /// The rank of what follows it.
    fn end_rank(&self) -> u64 {
        self.rank + self.blocks.end - self.blocks.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Content, Piece};

    fn covered(ranges: &[Range<u64>]) -> Covered {
        let pieces = ranges.iter().map(|range| Piece {
            offset: range.start,
            length: range.end - range.start,
            content: Content::Zeros,
        });
        Covered::new(&Pieces::new(100, pieces.collect()), 10)
    }

    #[test]
    fn a_block_is_covered_if_one_of_its_bytes_is() {
        let covered = covered(&[3..4, 5..9, 19..21, 40..60, 69..71]);
        let blocks: Vec<_> = covered.within(0..10).collect();
        assert_eq!(
            blocks,
            [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4), (6, 5), (7, 6)]
        );
        assert_eq!(covered.count(), 7);
        assert_eq!(covered.within(2..5).collect::<Vec<_>>(), [(2, 2), (4, 3)]);
        assert_eq!(covered.within(3..4).count(), 0);
        assert_eq!(covered.within(8..10).count(), 0);
    }

    #[test]
    fn a_byte_has_its_place_in_the_block_of_its_rank() {
        let covered = covered(&[3..4, 25..47]);
        assert_eq!(covered.place(3), (0, 3));
        assert_eq!(covered.place(25), (1, 5));
        assert_eq!(covered.place(30), (2, 0));
        assert_eq!(covered.place(46), (3, 6));
    }

    #[test]
    fn an_image_without_pieces_has_no_blocks() {
        let covered = covered(&[]);
        assert_eq!(covered.count(), 0);
        assert_eq!(covered.within(0..10).count(), 0);
    }
}
