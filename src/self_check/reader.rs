//! The written image, as the reader wants it.

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ext4_view::Ext4Read;

/// One file that many threads read, each where it is.
#[derive(Clone, Debug)]
pub(super) struct ImageReader {
    image: Arc<File>,
    /// Bytes before the filesystem.
    start: u64,
}

impl ImageReader {
    pub(super) fn new(image: File, start: u64) -> Self {
        Self {
            image: Arc::new(image),
            start,
        }
    }
}

impl Ext4Read for ImageReader {
    fn read(
        &mut self,
        start_byte: u64,
        bytes: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.image.read_exact_at(bytes, self.start + start_byte)?)
    }
}
