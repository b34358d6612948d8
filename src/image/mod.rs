//! Images: pieces, and what writes them. Nothing here knows what a piece means.

mod batch;
mod container;
mod covered;
mod ordered;
mod outlet;
mod output;
mod pieces;
mod qcow2;
mod share;
mod vhd;
mod write;
mod zstd;

pub use container::{Contained, Container, ContainerError, Identity};
pub use output::{AppearedDirectory, OutputError, PendingDirectory, PendingOutput};
pub use pieces::{Content, Encode, Piece, Pieces};
pub use vhd::VhdForm;
pub use write::{WriteError, write, write_watched};
pub use zstd::{write_zstd, write_zstd_watched};
