//! Images: pieces, and what writes them. Nothing here knows what a piece means.

mod batch;
mod pieces;

pub use pieces::{Content, Encode, Piece, Pieces};
mod write;
mod zstd;

pub use write::{Interrupt, WriteError, write};
pub use zstd::write_zstd;
