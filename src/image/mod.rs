//! Images: pieces, and what writes them. Nothing here knows what a piece means.

mod batch;
mod output;
mod pieces;
mod write;
mod zstd;

pub use output::{OutputError, PendingOutput};
pub use pieces::{Content, Encode, Piece, Pieces};
pub use write::{Interrupt, WriteError, write, write_watched};
pub use zstd::{write_zstd, write_zstd_watched};
