//! An image as a zstd stream.

use std::io::{self, Write};

use super::ordered::write_in_order;
use super::{Pieces, WriteError};
use crate::job::Job;
use crate::source::Watch;

/// Writes an image as one zstd frame to `to`, on all threads of the current rayon
/// pool. The bytes are the same at any number of them: zstd cuts its input into jobs
/// by the level alone, and is always told to.
pub fn write_zstd(
    pieces: &Pieces,
    to: impl Write,
    level: i32,
    job: &Job,
) -> Result<(), WriteError> {
    write_zstd_watched(pieces, to, level, &(), || Ok(()), job)
}

/// Writes an image as [`write_zstd`] does, and shows what is marked in it to `watch`.
/// `finish` gives what is late, or says why there shall be no image.
///
/// # Panics
///
/// If something late stands before something marked: the stream is written in order.
pub fn write_zstd_watched<E: From<WriteError>>(
    pieces: &Pieces,
    to: impl Write,
    level: i32,
    watch: &dyn Watch,
    finish: impl FnOnce() -> Result<(), E>,
    job: &Job,
) -> Result<(), E> {
    let mut encoder = encoder(to, level, pieces.size())?;
    write_in_order(pieces, &mut encoder, watch, finish, job)?;
    match encoder.finish() {
        Ok(_) => Ok(()),
        Err(source) => Err(WriteError::Write {
            offset: pieces.size(),
            source,
        }
        .into()),
    }
}

fn encoder<W: Write>(
    to: W,
    level: i32,
    size: u64,
) -> Result<zstd::Encoder<'static, W>, WriteError> {
    let threads = rayon::current_num_threads();
    let make = || -> io::Result<_> {
        let mut encoder = zstd::Encoder::new(to, level)?;
        encoder.multithread(u32::try_from(threads).unwrap_or(u32::MAX))?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(size))?;
        Ok(encoder)
    };
    make().map_err(|source| WriteError::Write { offset: 0, source })
}
