//! Writing pieces to a file, on all cores.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Pieces;

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A source could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The source.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A source has another size than when it was scanned.
    #[error("{} changed while the image was built: it had {expected} bytes when it was scanned and has {found} now; build again when nothing writes to it", path.display())]
    SizeChanged {
        /// The source.
        path: PathBuf,
        /// Bytes at the scan.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
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
/// current rayon pool. The bytes are the same at any number of them.
pub fn write(_pieces: &Pieces, _file: &File, _interrupt: &Interrupt) -> Result<(), WriteError> {
    todo!()
}
