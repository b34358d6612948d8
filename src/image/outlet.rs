//! The way into an image's file. The kernel lets one writer of a file pass at a time: a thread
//! that would have to wait makes its next bytes first.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::WriteError;

/// A file to which many threads write.
pub(super) struct Gate<'a> {
    file: &'a File,
    /// Whether a thread writes. It may be wrong: two that write at once are put in order
    /// by the kernel.
    is_taken: AtomicBool,
}

/// The way of one thread through a gate.
pub(super) struct Outlet<'a> {
    gate: &'a Gate<'a>,
    waiting: Option<Filled>,
    /// Buffers to be filled again.
    empty: Vec<Vec<u8>>,
}

/// Bytes of an image.
pub(super) struct Filled {
    /// Bytes of the image before them.
    pub offset: u64,
    pub bytes: Vec<u8>,
}

/// Bytes of a buffer that is not kept: a few structures are much longer than a batch.
const LONG: usize = 4 << 20;

impl<'a> Gate<'a> {
    /// The gate of `file`.
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            is_taken: AtomicBool::new(false),
        }
    }

    /// A way for one thread.
    pub(super) fn outlet(&'a self) -> Outlet<'a> {
        Outlet {
            gate: self,
            waiting: None,
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

    /// Writes `filled`, now or, if it `may_wait`, later, and tells `failed` of the error and its
    /// place, if there is one. What is made faster than it is written should not wait: it
    /// would only leave the core's cache.
    pub(super) fn put(&mut self, filled: Filled, may_wait: bool, failed: impl Fn(u64, WriteError)) {
        self.finish(&failed);
        if may_wait && self.gate.is_taken.load(Ordering::Relaxed) {
            self.waiting = Some(filled);
        } else {
            self.write(filled, &failed);
        }
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self, failed: impl Fn(u64, WriteError)) {
        if let Some(waiting) = self.waiting.take() {
            self.write(waiting, &failed);
        }
    }

    fn write(&mut self, filled: Filled, failed: &impl Fn(u64, WriteError)) {
        let Filled { offset, bytes } = filled;
        self.gate.is_taken.store(true, Ordering::Relaxed);
        let written = self.gate.file.write_all_at(&bytes, offset);
        self.gate.is_taken.store(false, Ordering::Relaxed);
        if let Err(source) = written {
            failed(offset, WriteError::Write { offset, source });
        }
        self.give_back(bytes);
    }
}
