//! What the bytes of an image are, which is said in the end.

use crate::image::{Content, Pieces};
use crate::progress::Composition;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Piece;
    use crate::source::Source;

    #[test]
    fn each_byte_of_an_image_is_of_one_kind() {
        let piece = |offset, length, content| Piece {
            offset,
            length,
            content,
        };
        let source = |skip| Content::Source {
            source: Source::bytes([7; 5000].as_slice()),
            skip,
        };
        let pieces = Pieces::new(
            40_000,
            vec![
                piece(0, 4096, source(0)),
                piece(4096, 4096, source(4096)),
                piece(16_384, 8192, Content::Zeros),
            ],
        );
        assert_eq!(
            composition(&pieces),
            Composition {
                contents: 5000,
                slack: 3192,
                metadata: 0,
                zeros: 8192,
                holes: 23_616,
            }
        );
    }
}
