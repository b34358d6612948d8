//! Writing pieces to a file, on all cores.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Pieces;
use super::batch::{Batch, Order, batches};
use crate::source::{ReadError, Watch};

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] ReadError),
    /// The image's own file refused.
    #[error("cannot write the image at byte {offset}")]
    Write {
        /// Bytes from the start of the image.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A request to stop, from a signal handler say.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(pub Arc<AtomicBool>);

impl Interrupt {
    /// An error once the request has been made.
    pub fn check(&self) -> Result<(), WriteError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(WriteError::Interrupted);
        }
        Ok(())
    }
}

/// Writes an image into `file`, which is new and empty, on all threads of the current
/// rayon pool. The bytes are the same at any number of them, and so is the error: of
/// several, the one that stands first in the image.
pub fn write(pieces: &Pieces, file: &File, interrupt: &Interrupt) -> Result<(), WriteError> {
    write_watched(pieces, file, &(), || Ok(()), interrupt)
}

/// Writes an image as [`write()`] does, and shows what is marked in it to `watch`. When all
/// but what is late has been written, `finish` gives what is late, or says why there shall
/// be no image.
pub fn write_watched<E: From<WriteError>>(
    pieces: &Pieces,
    file: &File,
    watch: &dyn Watch,
    finish: impl FnOnce() -> Result<(), E>,
    interrupt: &Interrupt,
) -> Result<(), E> {
    file.set_len(pieces.size())
        .map_err(|source| WriteError::Write { offset: 0, source })?;
    let batches = batches(pieces);
    let image = Writing {
        pieces,
        batches: &batches,
        file,
        watch,
        interrupt,
    };
    let (early, late) = image.units();
    image.write_all(&early)?;
    finish()?;
    Ok(image.write_all(&late)?)
}

/// An image that is being written.
struct Writing<'a> {
    pieces: &'a Pieces,
    batches: &'a [Batch],
    file: &'a File,
    watch: &'a dyn Watch,
    interrupt: &'a Interrupt,
}

/// Batches, by their places, that one thread writes one after another.
type Unit = Vec<usize>;

impl Writing<'_> {
    /// What to write before all is known that is late, and after it. The longest streams
    /// come first, so that no thread begins with one when the others are done.
    fn units(&self) -> (Vec<Unit>, Vec<Unit>) {
        let mut streams: BTreeMap<u32, Unit> = BTreeMap::new();
        let mut early = Vec::new();
        let mut late = Vec::new();
        for (index, batch) in self.batches.iter().enumerate() {
            match batch.order {
                Order::Any => early.push(vec![index]),
                Order::Stream(stream) => streams.entry(stream).or_default().push(index),
                Order::Late => late.push(vec![index]),
            }
        }
        let mut units: Vec<Unit> = streams.into_values().collect();
        units.sort_by_key(|unit| Reverse(unit.len()));
        units.append(&mut early);
        (units, late)
    }

    /// Writes all units, or tells which error stands first in the image: the batches before
    /// a failed one are written all the same, since they may fail too.
    fn write_all(&self, units: &[Unit]) -> Result<(), WriteError> {
        let next = AtomicUsize::new(0);
        let first_failed = AtomicUsize::new(usize::MAX);
        let failure: Mutex<Option<(usize, WriteError)>> = Mutex::new(None);
        rayon::broadcast(|_| {
            let mut buffer = Vec::new();
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                for &index in unit {
                    if index > first_failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let Err(error) = self.write_batch(&self.batches[index], &mut buffer) else {
                        continue;
                    };
                    first_failed.fetch_min(index, Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    if failure.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                        *failure = Some((index, error));
                    }
                    break;
                }
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    fn write_batch(&self, batch: &Batch, buffer: &mut Vec<u8>) -> Result<(), WriteError> {
        self.interrupt.check()?;
        batch.fill(self.pieces, buffer)?;
        batch.show(self.pieces, buffer, self.watch);
        let offset = batch.range.start;
        self.file
            .write_all_at(buffer, offset)
            .map_err(|source| WriteError::Write { offset, source })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::image::{Content, Encode, Piece, write_zstd};
    use crate::source::{HostFile, Origin, Source};
    use crate::tree::Name;

    /// Fills itself with its number.
    #[derive(Debug)]
    struct Numbered(u8);

    impl Encode for Numbered {
        fn encode(&self, bytes: &mut [u8]) {
            assert!(
                bytes.iter().all(|byte| *byte == 0),
                "what was there before is gone"
            );
            bytes.fill(self.0);
        }
    }

    fn bytes(content: &[u8]) -> Content {
        Content::Source {
            source: Source::bytes(content),
            skip: 0,
        }
    }

    /// Pieces of all kinds, large and small, with gaps, and the image that they make.
    fn sample() -> (Pieces, Vec<u8>) {
        let mut image = vec![0; 9 << 20];
        let large: Vec<u8> = (0..5 << 20)
            .map(|i: u32| i.to_le_bytes()[i as usize % 3])
            .collect();
        image[4096..4096 + large.len()].copy_from_slice(&large);
        image[6 << 20..8 << 20].fill(7);
        image[8 << 20..][..5].copy_from_slice(b"short");
        let pieces = vec![
            Piece {
                offset: 8 << 20,
                length: 4096,
                content: bytes(b"short"),
            },
            Piece {
                offset: 4096,
                length: 5 << 20,
                content: bytes(&large),
            },
            Piece {
                offset: 6 << 20,
                length: 2 << 20,
                content: Content::Encoded(Arc::new(Numbered(7))),
            },
            Piece {
                offset: (8 << 20) + 4096,
                length: 8192,
                content: Content::Zeros,
            },
        ];
        (Pieces::new(image.len() as u64, pieces), image)
    }

    fn with_threads<T: Send>(threads: usize, what: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(what)
    }

    #[test]
    fn an_image_is_its_pieces_at_any_number_of_threads() {
        let (pieces, expected) = sample();
        for threads in [1, 2, 7] {
            let mut file = tempfile::tempfile().unwrap();
            with_threads(threads, || write(&pieces, &file, &Interrupt::default())).unwrap();
            let mut found = Vec::new();
            file.read_to_end(&mut found).unwrap();
            assert!(found == expected, "{threads} threads");
        }
    }

    #[test]
    fn a_zstd_stream_holds_the_image_and_has_the_same_bytes_at_any_number_of_threads() {
        let (pieces, expected) = sample();
        let streams = [1, 2, 7].map(|threads| {
            let mut stream = Vec::new();
            with_threads(threads, || {
                write_zstd(&pieces, &mut stream, 3, &Interrupt::default())
            })
            .unwrap();
            stream
        });
        assert!(zstd::decode_all(&streams[0][..]).unwrap() == expected);
        assert!(streams.iter().all(|stream| *stream == streams[0]));
    }

    #[test]
    fn a_file_that_changed_its_size_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("grown"), b"123456").unwrap();
        let host_file = HostFile {
            directory: directory.path().into(),
            name: Name::new("grown").unwrap(),
        };
        let source = Source::new(5, Origin::HostFile(host_file));
        let content = Content::Source { source, skip: 0 };
        let pieces = Pieces::new(
            4096,
            vec![Piece {
                offset: 0,
                length: 4096,
                content,
            }],
        );
        let error = write(
            &pieces,
            &tempfile::tempfile().unwrap(),
            &Interrupt::default(),
        )
        .unwrap_err();
        assert!(
            matches!(&error, WriteError::Source(ReadError::SizeChanged { path, expected: 5, found: 6 }) if path.ends_with("grown")),
            "{error}"
        );
    }

    #[test]
    fn a_request_to_stop_is_obeyed() {
        let (pieces, _) = sample();
        let interrupt = Interrupt::default();
        interrupt.0.store(true, Ordering::Relaxed);
        assert!(matches!(
            write(&pieces, &tempfile::tempfile().unwrap(), &interrupt),
            Err(WriteError::Interrupted)
        ));
        assert!(matches!(
            write_zstd(&pieces, Vec::new(), 3, &interrupt),
            Err(WriteError::Interrupted)
        ));
    }
}
