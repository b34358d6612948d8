//! Nix's encoding of integers and strings, read where it lies in a file.
//!
//! An integer is 8 bytes, little-endian. A string is its length as an integer, its bytes,
//! and zeros up to a multiple of 8. NARs and exports consist of nothing else.
//!
//! Strings that say something are short and are read. Contents may have any length: they
//! are skipped, and only their place is noted. So memory is bounded by [`WINDOW`],
//! whatever a length claims.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Strings are padded to a multiple of this many bytes.
pub(super) const ALIGNMENT: usize = 8;

/// The most bytes that are read at once; no string that is read is longer.
const WINDOW: usize = 64 << 10;

/// The bytes that are read at once after a long skip, where the next may follow soon.
const GLANCE: usize = 4 << 10;

/// Reads integers and strings, forwards, from a part of a file.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a File,
    /// The byte of the file that comes next, and the one after the last.
    position: u64,
    end: u64,
    /// `window[..filled]` are the bytes from `start` on.
    window: Box<[u8]>,
    start: u64,
    filled: usize,
    /// How many bytes the last read was to get.
    reach: usize,
}

/// Bytes that are no integer or string of Nix', or cannot be read. Offsets count from the
/// start of the file, or of what was unpacked from it.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system refused.
    #[error("byte {offset} cannot be read")]
    Read {
        /// Where.
        offset: u64,
        /// The system's reason.
        source: io::Error,
    },
    /// Fewer bytes than must follow.
    #[error(
        "byte {offset}: {needed} bytes must follow, and the stream ends after {left}; it is broken or incomplete"
    )]
    Ends {
        /// Where they begin.
        offset: u64,
        /// How many.
        needed: u64,
        /// How many there are.
        left: u64,
    },
    /// A string that is longer than any in its place.
    #[error("byte {offset}: a string of {length} bytes, where {limit} are the most")]
    TooLong {
        /// Where its length stands.
        offset: u64,
        /// The length.
        length: u64,
        /// The most.
        limit: u64,
    },
    /// A padding with other bytes than zeros.
    #[error("byte {offset}: the {length} bytes of padding are not all zero")]
    Padding {
        /// Where it begins.
        offset: u64,
        /// Its bytes.
        length: u64,
    },
}

impl<'a> Reader<'a> {
    /// Reads what lies in `file` from `position` on, up to `end`.
    pub(super) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            window: vec![0; WINDOW].into(),
            start: position,
            filled: 0,
            reach: GLANCE,
        }
    }

    /// The byte of the file that comes next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// An integer.
    pub(super) fn integer(&mut self) -> Result<u64, StreamError> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("8 bytes were taken"),
        ))
    }

    /// A string of at most `limit` bytes, which are fewer than [`WINDOW`].
    pub(super) fn string(&mut self, limit: u64) -> Result<&[u8], StreamError> {
        let offset = self.position;
        let length = self.integer()?;
        if length > limit {
            return Err(StreamError::TooLong {
                offset,
                length,
                limit,
            });
        }
        let padding = StreamError::Padding {
            offset: self.position + length,
            length: padding_of(length),
        };
        let bytes = self.take(length + padding_of(length))?;
        let (string, zeros) = bytes.split_at(small(length));
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(padding);
        }
        Ok(string)
    }

    /// Skips a string of any length: where its bytes begin, and how many they are.
    pub(super) fn skip_string(&mut self) -> Result<(u64, u64), StreamError> {
        let length = self.integer()?;
        let offset = self.position;
        if length > self.left() {
            return Err(self.ends(length));
        }
        self.position += length;
        let padding = StreamError::Padding {
            offset: self.position,
            length: padding_of(length),
        };
        if self.take(padding_of(length))?.iter().any(|byte| *byte != 0) {
            return Err(padding);
        }
        Ok((offset, length))
    }

    /// The next `length` bytes, no more than [`WINDOW`].
    fn take(&mut self, length: u64) -> Result<&[u8], StreamError> {
        if length > self.left() {
            return Err(self.ends(length));
        }
        if self.position + length > self.start + self.filled as u64 {
            self.fill(small(length))?;
        }
        let at = small(self.position - self.start);
        self.position += length;
        Ok(&self.window[at..][..small(length)])
    }

    /// Fills the window from the next byte on, with `needed` bytes or more. It reads ahead
    /// the further the less was skipped since it did last.
    fn fill(&mut self, needed: usize) -> Result<(), StreamError> {
        let skipped = self
            .position
            .saturating_sub(self.start + self.filled as u64);
        self.reach = if skipped < self.reach as u64 {
            (self.reach * 2).min(WINDOW)
        } else {
            GLANCE
        };
        let wanted = (self.reach.max(needed) as u64).min(self.left());
        self.start = self.position;
        self.filled = 0;
        self.file
            .read_exact_at(&mut self.window[..small(wanted)], self.start)
            .map_err(|source| StreamError::Read {
                offset: self.start,
                source,
            })?;
        self.filled = small(wanted);
        Ok(())
    }

    fn ends(&self, needed: u64) -> StreamError {
        StreamError::Ends {
            offset: self.position,
            needed,
            left: self.left(),
        }
    }
}

/// Bytes of padding after a string of `length` bytes.
pub(super) fn padding_of(length: u64) -> u64 {
    length.wrapping_neg() % ALIGNMENT as u64
}

fn small(length: u64) -> usize {
    usize::try_from(length).expect("no more than a window is taken at once")
}
