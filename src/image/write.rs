//! Writing pieces to a file, on all cores.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Pieces;
use super::batch::{Batch, batches};
use crate::source::ReadError;

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

/// Writes an image into `file`, which is new and empty, on all threads of the
/// current rayon pool. The bytes are the same at any number of them, and so is the
/// error: of several, the one that stands first in the image.
pub fn write(pieces: &Pieces, file: &File, interrupt: &Interrupt) -> Result<(), WriteError> {
    file.set_len(pieces.size())
        .map_err(|source| WriteError::Write { offset: 0, source })?;
    let batches = batches(pieces);
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<(usize, WriteError)>> = Mutex::new(None);
    rayon::broadcast(|_| {
        let mut buffer = Vec::new();
        // Batches are taken in order, so that all before a failed one were taken too.
        while let Some((index, batch)) = take(&next, &batches) {
            if let Err(error) = write_batch(pieces, batch, file, interrupt, &mut buffer) {
                next.store(batches.len(), Ordering::Relaxed);
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.as_ref().is_none_or(|(earlier, _)| index < *earlier) {
                    *failure = Some((index, error));
                }
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

fn take<'a>(next: &AtomicUsize, batches: &'a [Batch]) -> Option<(usize, &'a Batch)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, batches.get(index)?))
}

fn write_batch(
    pieces: &Pieces,
    batch: &Batch,
    file: &File,
    interrupt: &Interrupt,
    buffer: &mut Vec<u8>,
) -> Result<(), WriteError> {
    interrupt.check()?;
    batch.fill(pieces, buffer)?;
    let offset = batch.range.start;
    file.write_all_at(buffer, offset)
        .map_err(|source| WriteError::Write { offset, source })
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
