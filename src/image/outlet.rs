//! The way into an image's file. The kernel lets one writer of a file pass at a time: a thread
//! that would have to wait makes its next bytes first, and writes as soon as nobody else does.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::WriteError;
use crate::error::FirstFailure;

/// A file to which many threads write.
pub(super) struct Gate<'a> {
    file: &'a File,
    failure: &'a FirstFailure<u64, WriteError>,
    /// Threads that write. The kernel puts them in order.
    writers: AtomicUsize,
}

/// The way of one thread through a gate.
pub(super) struct Outlet<'a> {
    gate: &'a Gate<'a>,
    /// In the order in which they were made.
    waiting: VecDeque<Filled>,
    /// Buffers to be filled again.
    empty: Vec<Vec<u8>>,
}

/// Bytes of an image.
pub(super) struct Filled {
    /// Bytes of the image before them.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// How many wait at most: enough that a thread which makes small files, slower than they are
/// written, finds some that it made before; and few, for each is memory.
const MOST_WAITING: usize = 2;

/// Bytes of a buffer that is not kept: a few structures are much longer than a batch.
const LONG: usize = 4 << 20;

impl<'a> Gate<'a> {
    /// The gate of `file`. What cannot be written is told to `failure`.
    pub(super) fn new(file: &'a File, failure: &'a FirstFailure<u64, WriteError>) -> Self {
        Self {
            file,
            failure,
            writers: AtomicUsize::new(0),
        }
    }

    fn is_taken(&self) -> bool {
        self.writers.load(Ordering::Relaxed) > 0
    }

    /// A way for one thread.
    pub(super) fn outlet(&'a self) -> Outlet<'a> {
        Outlet {
            gate: self,
            waiting: VecDeque::new(),
            empty: Vec::new(),
        }
    }
}

impl Outlet<'_> {
    /// A buffer, whatever is in it.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.empty.pop().unwrap_or_default()
    }

    /// Takes a buffer back that need not be written.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() < LONG {
            self.empty.push(bytes);
        }
    }

    /// Writes `filled`, now or later.
    pub(super) fn put(&mut self, filled: Filled) {
        self.waiting.push_back(filled);
        if self.waiting.len() > MOST_WAITING {
            self.write_first();
        }
        self.pass();
    }

    /// Writes what waits, unless another thread writes.
    pub(super) fn pass(&mut self) {
        while !(self.waiting.is_empty() || self.gate.is_taken()) {
            self.write_first();
        }
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.write_first();
        }
    }

    fn write_first(&mut self) {
        if let Some(filled) = self.waiting.pop_front() {
            self.write(filled);
        }
    }

    fn write(&mut self, filled: Filled) {
        let Filled { offset, bytes } = filled;
        self.gate.writers.fetch_add(1, Ordering::Relaxed);
        let written = self.gate.file.write_all_at(&bytes, offset);
        self.gate.writers.fetch_sub(1, Ordering::Relaxed);
        if let Err(source) = written {
            let error = WriteError::Write { offset, source };
            self.gate.failure.add(offset, error);
        }
        self.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(offset: u64, bytes: &[u8]) -> Filled {
        let bytes = bytes.into();
        Filled { offset, bytes }
    }

    fn content(file: &File) -> Vec<u8> {
        let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn what_waits_for_another_thread_is_written_as_soon_as_that_is_done() {
        let (file, failure) = (tempfile::tempfile().unwrap(), FirstFailure::default());
        let gate = Gate::new(&file, &failure);
        let mut outlet = gate.outlet();
        outlet.put(filled(0, b"at once "));
        assert_eq!(content(&file), b"at once ");

        gate.writers.store(1, Ordering::Relaxed);
        outlet.put(filled(8, b"waits "));
        outlet.put(filled(14, b"too"));
        outlet.pass();
        assert_eq!(content(&file), b"at once ");

        gate.writers.store(0, Ordering::Relaxed);
        outlet.pass();
        assert_eq!(content(&file), b"at once waits too");
        failure.into_result().unwrap();
    }

    #[test]
    fn few_wait_and_the_first_is_written_first() {
        let (file, failure) = (tempfile::tempfile().unwrap(), FirstFailure::default());
        let gate = Gate::new(&file, &failure);
        gate.writers.store(1, Ordering::Relaxed);
        let mut outlet = gate.outlet();
        for (offset, byte) in (0..).zip(b"abcd") {
            outlet.put(filled(offset, &[*byte]));
        }
        assert_eq!(content(&file), b"ab");
        outlet.finish();
        assert_eq!(content(&file), b"abcd");
        failure.into_result().unwrap();
    }

    #[test]
    fn of_several_failures_the_first_in_the_image_is_told() {
        let read_only = File::open("/dev/null").unwrap();
        let failure = FirstFailure::default();
        let gate = Gate::new(&read_only, &failure);
        let mut outlet = gate.outlet();
        for offset in [8192, 4096, 12288] {
            outlet.put(filled(offset, b"lost"));
        }
        let error = failure.into_result().unwrap_err();
        assert!(
            matches!(error, WriteError::Write { offset: 4096, .. }),
            "{error}"
        );
    }
}
