//! What is said of an image in the end.

use crate::ext4;
use crate::image::{Content, Pieces};
use crate::progress::{Composition, Free};

/// What the bytes of an image are.
pub(super) fn composition(pieces: &Pieces) -> Composition {
    let mut composition = Composition {
        holes: pieces.size() - pieces.covered(),
        ..Composition::default()
    };
    for piece in pieces.as_slice() {
        match &piece.content {
            Content::Source { source, skip } => {
                let content = (source.length - skip).min(piece.length);
                composition.contents += content;
                composition.slack += piece.length - content;
            }
            Content::Encoded(_) => composition.metadata += piece.length,
            Content::Zeros => composition.zeros += piece.length,
        }
    }
    composition
}

/// What is left in an ext4 filesystem.
pub(super) fn free(usage: ext4::Usage) -> Free {
    Free {
        blocks: usage.free_blocks,
        all_blocks: usage.blocks,
        inodes: usage.free_inodes,
        all_inodes: usage.inodes,
    }
}
