//! An image as a zstd stream.

use std::io::Write;

use super::{Interrupt, Pieces, WriteError};

/// Writes an image as one zstd frame to `to`, on all cores; the same bytes at any
/// number of them.
pub fn write_zstd(
    _pieces: &Pieces,
    _to: impl Write,
    _level: i32,
    _interrupt: &Interrupt,
) -> Result<(), WriteError> {
    todo!()
}
