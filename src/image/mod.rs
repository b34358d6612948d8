//! Images: pieces, and what writes them. Nothing here knows what a piece means.

mod batch;
mod output;
mod pieces;
mod write;
mod zstd;

pub use output::{OutputError, PendingOutput};
pub use pieces::{Content, Encode, Piece, Pieces};
pub use write::{Interrupt, WriteError, write};
pub use zstd::write_zstd;
