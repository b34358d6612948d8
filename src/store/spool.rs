//! The spool: one unnamed file for all that is unpacked, each part at a place of its own.
//!
//! A thread may fill one part while others fill theirs, and no part reaches into another.
//! The file is sparse: it takes no more room than what was unpacked, whatever the size
//! of a part that somebody claims.

use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::source::Container;

/// An unnamed temporary file that is gone with its last user.
#[derive(Debug)]
pub(super) struct Spool {
    container: Arc<Container>,
}

/// A part of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// Bytes from the start of the spool.
    pub(super) start: u64,
    /// Bytes.
    pub(super) length: u64,
}

/// Why a part of a spool was not filled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The bytes could not be had.
    #[error("it is damaged; copy the path into the cache anew")]
    Unpack(#[source] io::Error),
    /// They are fewer or more than was said.
    #[error("it unpacks to {} bytes, and its NarSize is {expected}; copy the path into the cache anew", if *longer { format!("more than {found}") } else { found.to_string() })]
    Length {
        /// Bytes that were promised.
        expected: u64,
        /// Bytes that came.
        found: u64,
        /// Whether there are more of them.
        longer: bool,
    },
    /// The spool refused.
    #[error(
        "byte {offset} of a temporary file cannot be written; set TMPDIR to a directory with room for all of the closure, unpacked"
    )]
    Write {
        /// Bytes from the start of the spool.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Region {
    /// Regions begin at multiples of this many bytes: the block of most filesystems, so
    /// that no two threads write to one.
    const ALIGNMENT: u64 = 4096;

    /// The byte after the last.
    pub(super) fn end(self) -> u64 {
        self.start + self.length
    }

    /// A region for each of `lengths`, one after the other; `None` if they are too many
    /// bytes for a file.
    pub(super) fn in_a_row(lengths: impl IntoIterator<Item = u64>) -> Option<Vec<Self>> {
        let mut start = 0_u64;
        let mut regions = Vec::new();
        for length in lengths {
            let end = start.checked_add(length)?;
            i64::try_from(end).ok()?;
            regions.push(Self { start, length });
            start = end.next_multiple_of(Self::ALIGNMENT);
        }
        Some(regions)
    }
}

impl Spool {
    /// Bytes that are read and written at once.
    const CHUNK: u64 = 256 << 10;

    /// An empty spool in `directory`, or in `$TMPDIR` or `/tmp` if that is not given, for
    /// what is unpacked from `origin`.
    pub(super) fn new(directory: Option<&Path>, origin: &Path) -> io::Result<Self> {
        let file = match directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        }?;
        Ok(Self {
            container: Arc::new(Container::spooled(origin, file)),
        })
    }

    /// What reads it.
    pub(super) fn container(&self) -> &Arc<Container> {
        &self.container
    }

    /// Fills `region` with what `from` has, which must be as much. `interrupt` may stop
    /// that.
    pub(super) fn fill(
        &self,
        region: Region,
        mut from: impl Read,
        interrupt: &AtomicBool,
    ) -> Result<(), SpoolError> {
        // A byte more, so that what follows the region's bytes is seen.
        let size = (region.length.saturating_add(1)).min(Self::CHUNK);
        let mut buffer = vec![0; usize::try_from(size).expect("a chunk is small")];
        let mut filled = 0;
        loop {
            if interrupt.load(Ordering::Relaxed) {
                return Err(SpoolError::Interrupted);
            }
            let read = read_full(&mut from, &mut buffer).map_err(SpoolError::Unpack)?;
            let left = region.length - filled;
            if read == 0 && left == 0 {
                return Ok(());
            }
            if read == 0 || read as u64 > left {
                return Err(SpoolError::Length {
                    expected: region.length,
                    found: if read == 0 { filled } else { region.length },
                    longer: read > 0,
                });
            }
            let offset = region.start + filled;
            self.container
                .with_file(|file| file.write_all_at(&buffer[..read], offset))
                .map_err(|source| SpoolError::Write { offset, source })?;
            filled += read as u64;
        }
    }
}

/// Reads until `buffer` is full or nothing is left: decoders give small pieces.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    static NEVER: AtomicBool = AtomicBool::new(false);

    fn spool() -> Spool {
        Spool::new(None, Path::new("/a/cache")).unwrap()
    }

    fn read(spool: &Spool, region: Region) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(region.length).unwrap()];
        spool
            .container()
            .with_file(|file| file.read_exact_at(&mut bytes, region.start))
            .unwrap();
        bytes
    }

    #[test]
    fn regions_are_aligned_and_do_not_overlap() {
        let regions = Region::in_a_row([0, 1, 4096, 4097, 5]).unwrap();
        let starts: Vec<_> = regions.iter().map(|region| region.start).collect();
        assert_eq!(starts, [0, 0, 4096, 8192, 16384]);
        assert_eq!(regions[3].end(), 8192 + 4097);
    }

    #[test]
    fn more_bytes_than_a_file_holds_are_refused() {
        let most = i64::MAX.unsigned_abs();
        assert!(Region::in_a_row([most]).is_some());
        assert_eq!(Region::in_a_row([most, 1]), None);
        assert_eq!(Region::in_a_row([u64::MAX]), None);
        assert_eq!(Region::in_a_row([1, u64::MAX - 4096]), None);
    }

    #[test]
    fn a_region_holds_what_it_was_filled_with() {
        let spool = spool();
        let length = 3 * Spool::CHUNK - 1;
        let regions = Region::in_a_row([5, length, Spool::CHUNK, 0]).unwrap();
        let byte = |index: usize| u8::try_from(index + 1).unwrap();
        for (index, region) in regions.iter().enumerate().rev() {
            let from = io::repeat(byte(index)).take(region.length);
            spool.fill(*region, from, &NEVER).unwrap();
        }
        for (index, region) in regions.iter().enumerate() {
            assert!(read(&spool, *region).iter().all(|b| *b == byte(index)));
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused_and_never_leaves_its_region() {
        let spool = spool();
        for length in [0, 1, 4096, Spool::CHUNK - 1, Spool::CHUNK, Spool::CHUNK + 1] {
            let regions = Region::in_a_row([length, 1]).unwrap();
            spool.fill(regions[1], &b"b"[..], &NEVER).unwrap();
            let longer = spool
                .fill(regions[0], io::repeat(b'a'), &NEVER)
                .unwrap_err();
            assert!(
                matches!(longer, SpoolError::Length { expected, found, longer: true } if expected == length && found == length),
                "{longer}"
            );
            if length > 0 {
                assert_eq!(read(&spool, regions[1]), b"b");
                let less = io::repeat(b'a').take(length - 1);
                let shorter = spool.fill(regions[0], less, &NEVER).unwrap_err();
                assert!(
                    matches!(shorter, SpoolError::Length { found, longer: false, .. } if found == length - 1),
                    "{shorter}"
                );
            }
        }
    }

    #[test]
    fn a_length_that_is_only_claimed_takes_no_room() {
        let spool = spool();
        let regions = Region::in_a_row([1 << 40, 1]).unwrap();
        let error = spool.fill(regions[0], &b"a"[..], &NEVER).unwrap_err();
        assert!(matches!(error, SpoolError::Length { found: 1, .. }));
        spool.fill(regions[1], &b"b"[..], &NEVER).unwrap();
        let blocks = |file: &std::fs::File| Ok(file.metadata()?.blocks());
        assert!(spool.container().with_file(blocks).unwrap() < 1000);
    }

    #[test]
    fn an_interrupt_stops_between_chunks() {
        /// Asks to stop with its first byte.
        struct Stops<'a>(&'a AtomicBool);
        impl Read for Stops<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.store(true, Ordering::Relaxed);
                Ok(buffer.len())
            }
        }
        let interrupt = AtomicBool::new(false);
        let region = Region::in_a_row([u64::MAX >> 1]).unwrap()[0];
        let error = spool().fill(region, Stops(&interrupt), &interrupt);
        assert!(matches!(error, Err(SpoolError::Interrupted)));
    }
}
