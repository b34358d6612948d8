//! Writing pieces to a file, on all cores.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Pieces;
use super::batch::{BATCH_BYTES, Batch, Order, Stretch, stretches};
use super::outlet::{Filled, Gate, Outlet};
use super::share::{can_share, share};
use crate::error::{FirstFailure, limit_to_raise};
use crate::job::{Job, Stopped};
use crate::source::{ReadError, Reader, Watch};

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] ReadError),
    /// The image's own file refused.
    #[error("cannot write the image at byte {offset}{}", limit_to_raise(source))]
    Write {
        /// Bytes from the start of the image.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be as long as the image.
    #[error(
        "the image's file cannot have its {size} bytes{}",
        limit_to_raise(source)
    )]
    Size {
        /// Bytes of the image.
        size: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Stopped),
}

/// Writes an image into `file`, which is new and empty, on all threads of the current
/// rayon pool. The bytes are the same at any number of them, and so is the error: of
/// several, the one that stands first in the image.
pub fn write(pieces: &Pieces, file: &File, job: &Job) -> Result<(), WriteError> {
    write_watched(pieces, file, &(), || Ok(()), job)
}

/// Writes an image as [`write()`] does, and shows what is marked in it to `watch`. When all
/// but what is late has been written, `finish` gives what is late, or says why there shall
/// be no image.
pub fn write_watched<E: From<WriteError>>(
    pieces: &Pieces,
    file: &File,
    watch: &dyn Watch,
    finish: impl FnOnce() -> Result<(), E>,
    job: &Job,
) -> Result<(), E> {
    let sharing =
        can_share(pieces, file).map_err(|source| WriteError::Write { offset: 0, source })?;
    let size = pieces.size();
    file.set_len(size)
        .map_err(|source| WriteError::Size { size, source })?;
    let image = Writing {
        pieces,
        sharing,
        file,
        watch,
        job,
    };
    let (early, late) = units(stretches(pieces, sharing));
    image.write_all(&early)?;
    finish()?;
    Ok(image.write_all(&late)?)
}

/// An image that is being written.
struct Writing<'a> {
    pieces: &'a Pieces,
    /// Whether blocks are shared with the host's files.
    sharing: bool,
    file: &'a File,
    watch: &'a dyn Watch,
    job: &'a Job,
}

/// What one thread writes, one after another.
type Unit = Vec<Stretch>;

/// What to write before all is known that is late, and after it. The longest streams come
/// first, so that no thread begins with one when the others are done; the rest is mixed.
fn units(stretches: Vec<Stretch>) -> (Vec<Unit>, Vec<Unit>) {
    let mut streams: BTreeMap<u32, Unit> = BTreeMap::new();
    let mut early = Vec::new();
    let mut late = Vec::new();
    for stretch in stretches {
        match stretch.order {
            Order::Any => early.push(stretch),
            Order::Stream(stream) => streams.entry(stream).or_default().push(stretch),
            Order::Late => late.push(vec![stretch]),
        }
    }
    let mut units: Vec<Unit> = streams.into_values().collect();
    units.sort_by_key(|unit| Reverse(unit.iter().map(Stretch::length).sum::<u64>()));
    units.extend(mixed(early).map(|stretch| vec![stretch]));
    (units, late)
}

/// The stretches in another order, in which those of many steps and those of few are mixed evenly.
/// The first take long to be made, and while one thread makes such, another should have something
/// to write: threads that all make small files leave the image's file idle, and threads that all
/// copy large ones wait for it. Each kind stays in the order of the image, for the host's read-ahead.
fn mixed(stretches: Vec<Stretch>) -> impl Iterator<Item = Stretch> {
    let count = i64::try_from(stretches.len()).expect("stretches are in memory");
    let all_steps: i64 = stretches.iter().map(|stretch| stretch.steps).sum();
    // How many steps a stretch has above the mean, times the number of stretches.
    let excess = move |stretch: &Stretch| stretch.steps * count - all_steps;
    let (many, few): (Vec<_>, Vec<_>) = stretches
        .into_iter()
        .partition(|stretch| excess(stretch) > 0);
    let (mut many, mut few) = (many.into_iter(), few.into_iter());
    let mut surplus = 0;
    std::iter::from_fn(move || {
        let stretch = if surplus > 0 {
            few.next().or_else(|| many.next())
        } else {
            many.next().or_else(|| few.next())
        }?;
        surplus += excess(&stretch);
        Some(stretch)
    })
}

impl Writing<'_> {
    /// Writes all units, or tells which error stands first in the image: the batches before
    /// a failed one are written all the same, since they may fail too.
    fn write_all(&self, units: &[Unit]) -> Result<(), WriteError> {
        let next = AtomicUsize::new(0);
        let failure = FirstFailure::default();
        let gate = Gate::new(self.file, &failure);
        rayon::broadcast(|_| {
            let mut reader = Reader::default();
            let mut outlet = gate.outlet();
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let batches = unit
                    .iter()
                    .flat_map(|stretch| stretch.batches(self.pieces, self.sharing));
                for batch in batches {
                    let offset = batch.range.start;
                    if failure.stands_before(&offset) {
                        break;
                    }
                    if let Err(error) = self.write_batch(&batch, &mut reader, &mut outlet) {
                        failure.add(offset, error);
                        break;
                    }
                }
            }
            outlet.finish();
        });
        failure.into_result()
    }

    fn write_batch(
        &self,
        batch: &Batch<'_>,
        reader: &mut Reader,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), WriteError> {
        if !batch.is_shareable {
            return self.copy(batch, batch.range.clone(), reader, outlet);
        }
        self.job.check()?;
        let Range { mut start, end } = batch.range;
        let shared_to = start + share(batch, self.file, reader)?;
        while start < end {
            let range = start..end.min(start + BATCH_BYTES);
            if range.end > shared_to {
                self.copy(batch, range, reader, outlet)?;
            } else {
                self.show_shared(batch, range, reader, outlet)?;
            }
            start += BATCH_BYTES;
        }
        Ok(())
    }

    /// Shows the bytes of `batch` that stand at `range`, and are shared already, if somebody
    /// wants to see them.
    fn show_shared(
        &self,
        batch: &Batch<'_>,
        range: Range<u64>,
        reader: &mut Reader,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), WriteError> {
        if batch.is_marked() {
            let bytes = self.make(batch, range, reader, outlet)?;
            outlet.give_back(bytes);
        } else {
            self.job.advance(range.end - range.start);
        }
        Ok(())
    }

    /// Makes the bytes of `batch` that stand at `range`, shows and writes them.
    fn copy(
        &self,
        batch: &Batch<'_>,
        range: Range<u64>,
        reader: &mut Reader,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), WriteError> {
        let offset = range.start;
        let bytes = self.make(batch, range, reader, outlet)?;
        outlet.put(Filled { offset, bytes });
        Ok(())
    }

    /// Makes the bytes of `batch` that stand at `range`, and shows them.
    fn make(
        &self,
        batch: &Batch<'_>,
        range: Range<u64>,
        reader: &mut Reader,
        outlet: &mut Outlet<'_>,
    ) -> Result<Vec<u8>, WriteError> {
        self.job.check()?;
        let offset = range.start;
        let mut bytes = outlet.buffer();
        batch.fill(range, reader, &mut bytes, || outlet.pass())?;
        batch.show(offset, &bytes, self.watch);
        self.job.advance(bytes.len() as u64);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::Read;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::image::{Content, Encode, Piece, write_zstd};
    use crate::source::{HostDirectory, HostFile, Origin, Source};
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
            let job = Job::default();
            with_threads(threads, || write(&pieces, &file, &job)).unwrap();
            let mut found = Vec::new();
            file.read_to_end(&mut found).unwrap();
            assert!(found == expected, "{threads} threads");
            assert_eq!(job.done(), pieces.covered());
        }
    }

    #[test]
    fn stretches_of_many_steps_and_of_few_are_mixed_evenly() {
        let small = |first: u64| {
            (0..256).map(move |i| Piece {
                offset: first + i * 4096,
                length: 4096,
                content: bytes(b"small"),
            })
        };
        let large = Piece {
            offset: 0,
            length: 5 << 20,
            content: bytes(&vec![1; 5 << 20]),
        };
        let small = (5..9).flat_map(|mebibyte| small(mebibyte << 20));
        let pieces = [large].into_iter().chain(small).collect();
        let pieces = Pieces::new(9 << 20, pieces);
        let (early, late) = units(stretches(&pieces, false));
        assert!(late.is_empty());
        let found: Vec<_> = early.iter().flatten().collect();
        let steps: Vec<_> = found.iter().map(|stretch| stretch.steps).collect();
        assert_eq!(steps, [256, 1, 1, 256, 1, 256, 1, 256, 1]);
        let mebibytes: Vec<_> = found
            .iter()
            .map(|stretch| stretch.range.start >> 20)
            .collect();
        assert_eq!(mebibytes, [5, 0, 1, 6, 2, 7, 3, 8, 4]);
    }

    #[test]
    fn a_zstd_stream_holds_the_image_and_has_the_same_bytes_at_any_number_of_threads() {
        let (pieces, expected) = sample();
        let streams = [1, 2, 7].map(|threads| {
            let mut stream = Vec::new();
            let job = Job::default();
            with_threads(threads, || write_zstd(&pieces, &mut stream, 3, &job)).unwrap();
            assert_eq!(job.done(), pieces.size());
            stream
        });
        assert!(zstd::decode_all(&streams[0][..]).unwrap() == expected);
        assert!(streams.iter().all(|stream| *stream == streams[0]));
    }

    /// A file at `path` that had `length` bytes when it was scanned.
    fn scanned(path: &Path, length: u64) -> Content {
        let name = path.file_name().and_then(OsStr::to_str).unwrap();
        let host_file = HostFile {
            directory: Arc::new(HostDirectory::new(path.parent().unwrap())),
            name: Name::new(name).unwrap(),
        };
        Content::Source {
            source: Source::new(length, Origin::HostFile(host_file)),
            skip: 0,
        }
    }

    #[test]
    fn a_file_that_changed_its_size_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let grown = directory.path().join("grown");
        std::fs::write(&grown, b"123456").unwrap();
        let pieces = Pieces::new(
            4096,
            vec![Piece {
                offset: 0,
                length: 4096,
                content: scanned(&grown, 5),
            }],
        );
        let error = write(&pieces, &tempfile::tempfile().unwrap(), &Job::default()).unwrap_err();
        assert!(
            matches!(&error, WriteError::Source(ReadError::SizeChanged { path, expected: 5, found: 6 }) if *path == grown),
            "{error}"
        );
    }

    #[test]
    fn an_error_that_stands_earlier_is_told_though_it_is_found_later() {
        let directory = tempfile::tempdir().unwrap();
        let [earlier, later] = ["earlier", "later"].map(|name| directory.path().join(name));
        let mut pieces = vec![
            Piece {
                offset: 0,
                length: 5 << 20,
                content: scanned(&earlier, 5 << 20),
            },
            Piece {
                offset: 5 << 20,
                length: 4096,
                content: scanned(&later, 4096),
            },
        ];
        pieces.extend((1..256).map(|i| Piece {
            offset: (5 << 20) + i * 4096,
            length: 4096,
            content: bytes(b"small"),
        }));
        let pieces = Pieces::new(6 << 20, pieces);
        let (units, _) = units(stretches(&pieces, false));
        assert_eq!(units[0][0].range.start, 5 << 20, "what is written first");

        let file = tempfile::tempfile().unwrap();
        let error = with_threads(1, || write(&pieces, &file, &Job::default())).unwrap_err();
        let expected = format!("{} changed", earlier.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn a_request_to_stop_is_obeyed() {
        let (pieces, _) = sample();
        let job = Job::default();
        job.stop();
        assert!(matches!(
            write(&pieces, &tempfile::tempfile().unwrap(), &job),
            Err(WriteError::Interrupted(_))
        ));
        assert!(matches!(
            write_zstd(&pieces, Vec::new(), 3, &job),
            Err(WriteError::Interrupted(_))
        ));
    }
}
