//! Images: pieces, and what writes them. Nothing here knows what a piece means.

mod pieces;

pub use pieces::{Content, Encode, Piece, Pieces};
