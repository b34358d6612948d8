//! Writing an image in its order, into what compresses it: a stream, with its zeros.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use rayon::prelude::*;

use super::batch::{Batch, Order, Stretch, stretches};
use super::{Pieces, WriteError};
use crate::job::Job;
use crate::source::{Reader, Watch};

/// Batches that are made at once before they are written in order, for each thread.
const BATCHES_PER_THREAD: usize = 8;

/// Zeros for the holes of an image.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// Writes all bytes of an image to `to`, and shows what is marked to `watch`. Bytes are made on
/// all threads of the current rayon pool. `finish` gives what is late, or says why there
/// shall be no image.
///
/// # Panics
///
/// If something late stands before something marked: the stream is written in order.
pub(super) fn write_in_order<E: From<WriteError>>(
    pieces: &Pieces,
    to: &mut impl Write,
    watch: &dyn Watch,
    finish: impl FnOnce() -> Result<(), E>,
    job: &Job,
) -> Result<(), E> {
    let mut stream = Stream { to, at: 0, job };
    let stretches = stretches(pieces, false);
    let first_late = stretches
        .iter()
        .position(|stretch| stretch.order == Order::Late);
    let (early, late) = stretches.split_at(first_late.unwrap_or(stretches.len()));
    assert!(
        !late
            .iter()
            .any(|stretch| matches!(stretch.order, Order::Stream(_))),
        "what is late stands behind all that it may hang on"
    );
    let mut buffers = vec![Vec::new(); BATCHES_PER_THREAD * rayon::current_num_threads()];
    let mut write = |stretches: &[Stretch]| {
        let mut batches = stretches.iter().flat_map(|stretch| {
            let order = stretch.order;
            let batches = stretch.batches(pieces, false);
            batches.map(move |batch| (order, batch))
        });
        loop {
            let batches: Vec<_> = batches.by_ref().take(buffers.len()).collect();
            if batches.is_empty() {
                return Ok::<_, WriteError>(());
            }
            job.check()?;
            fill_all(&batches, &mut buffers)?;
            show_all(&batches, &buffers, watch);
            for ((_, batch), bytes) in batches.iter().zip(&buffers) {
                stream.zeros_to(batch.range.start)?;
                stream.write(bytes)?;
            }
        }
    };
    write(early)?;
    finish()?;
    write(late)?;
    Ok(stream.zeros_to(pieces.size())?)
}

/// Makes the bytes of `batches`; of several errors, the one that stands first counts.
fn fill_all(batches: &[(Order, Batch<'_>)], buffers: &mut [Vec<u8>]) -> Result<(), WriteError> {
    let results: Vec<_> = batches
        .par_iter()
        .zip(buffers)
        .map_init(Reader::default, |reader, ((_, batch), buffer)| {
            batch.fill(batch.range.clone(), reader, buffer, || ())
        })
        .collect();
    results
        .into_iter()
        .collect::<Result<(), _>>()
        .map_err(WriteError::from)
}

/// Shows the bytes of `batches`, those of several streams at once.
fn show_all(batches: &[(Order, Batch<'_>)], buffers: &[Vec<u8>], watch: &dyn Watch) {
    let mut streams: BTreeMap<u32, Vec<(&Batch<'_>, &Vec<u8>)>> = BTreeMap::new();
    for ((order, batch), buffer) in batches.iter().zip(buffers) {
        if let Order::Stream(stream) = order {
            streams.entry(*stream).or_default().push((batch, buffer));
        }
    }
    streams.into_par_iter().for_each(|(_, batches)| {
        for (batch, buffer) in batches {
            batch.show(batch.range.start, buffer, watch);
        }
    });
}

/// The place that bytes go to, with how many already went.
struct Stream<'a, W: Write> {
    to: &'a mut W,
    at: u64,
    job: &'a Job,
}

impl<W: Write> Stream<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.to
            .write_all(bytes)
            .map_err(|source| WriteError::Write {
                offset: self.at,
                source,
            })?;
        self.at += bytes.len() as u64;
        self.job.advance(bytes.len() as u64);
        Ok(())
    }

    fn zeros_to(&mut self, end: u64) -> Result<(), WriteError> {
        let Range { mut start, end } = self.at..end;
        while start < end {
            let length = (end - start).min(ZEROS.len() as u64);
            self.write(&ZEROS[..usize::try_from(length).expect("it is at most 65,536")])?;
            start += length;
        }
        Ok(())
    }
}
