//! An image as a value: its size, and what lies where in it.

use std::sync::Arc;

use crate::source::Source;

/// An image: pieces in order of their offsets, none overlapping another. What no
/// piece covers is zero and may be a hole of the host's file.
#[derive(Debug)]
pub struct Pieces {
    size: u64,
    pieces: Vec<Piece>,
}

/// A run of bytes of the image. Content that is shorter is followed by zeros, which
/// are written too.
#[derive(Debug)]
pub struct Piece {
    /// Bytes from the start of the image.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// What is there.
    pub content: Content,
}

/// What a piece holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Bytes of a source, from `skip` on.
    Source {
        /// The place of the bytes.
        source: Source,
        /// Bytes of the source that come before the piece.
        skip: u64,
    },
    /// Bytes that are made when they are written, by whoever writes them.
    Encoded(Arc<dyn Encode>),
    /// Zeros, written out.
    Zeros,
}

/// Something that can write itself down: a structure of a filesystem, say.
pub trait Encode: Send + Sync + std::fmt::Debug {
    /// Fills `bytes`, which are zero and as long as the piece.
    fn encode(&self, bytes: &mut [u8]);
}

impl Content {
    /// `length` bytes of the content, of `whole` bytes, behind its first `skip` bytes:
    /// for a piece that had to be cut.
    #[must_use]
    pub fn part(&self, skip: u64, length: u64, whole: u64) -> Self {
        match self {
            Self::Source {
                source,
                skip: before,
            } => Self::Source {
                source: source.clone(),
                skip: before + skip,
            },
            Self::Encoded(inner) if length < whole => Self::Encoded(Arc::new(Part {
                inner: inner.clone(),
                skip,
                whole,
            })),
            whole => whole.clone(),
        }
    }
}

/// A part of something that can only be encoded as a whole.
#[derive(Debug)]
struct Part {
    inner: Arc<dyn Encode>,
    /// Bytes of the whole before this part.
    skip: u64,
    /// Bytes of the whole.
    whole: u64,
}

impl Encode for Part {
    fn encode(&self, bytes: &mut [u8]) {
        let [skip, whole] = [self.skip, self.whole]
            .map(|bytes| usize::try_from(bytes).expect("structures are made in memory"));
        let mut all = vec![0; whole];
        self.inner.encode(&mut all);
        bytes.copy_from_slice(&all[skip..skip + bytes.len()]);
    }
}

impl Pieces {
    /// An image of `size` bytes. The pieces may come in any order.
    ///
    /// # Panics
    ///
    /// If two pieces overlap or one ends beyond the image: a fault in the layout
    /// that must never reach a disk.
    #[must_use]
    pub fn new(size: u64, mut pieces: Vec<Piece>) -> Self {
        pieces.retain(|piece| piece.length > 0);
        // Stable, for that merges runs that are in order.
        pieces.sort_by_key(|piece| piece.offset);
        let mut end = 0;
        for piece in &pieces {
            assert!(
                piece.offset >= end,
                "the piece at byte {} overlaps the one before it, which ends at {end}",
                piece.offset
            );
            end = piece.offset + piece.length;
        }
        assert!(
            end <= size,
            "a piece ends at byte {end}, beyond the image's {size}"
        );
        Self { size, pieces }
    }

    /// Bytes of the whole image.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that pieces cover.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    /// The pieces as they stand in a larger image, in which this one begins at `offset`.
    pub fn at(self, offset: u64) -> impl Iterator<Item = Piece> {
        self.pieces.into_iter().map(move |piece| Piece {
            offset: offset + piece.offset,
            ..piece
        })
    }

    /// The pieces by themselves, in order of their offsets.
    pub(super) fn into_vec(self) -> Vec<Piece> {
        self.pieces
    }

    /// The pieces, in order of their offsets.
    #[must_use]
    pub fn as_slice(&self) -> &[Piece] {
        &self.pieces
    }
}
