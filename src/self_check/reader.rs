//! The written image, as the reader wants it.

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ext4_view::Ext4Read;

/// One file that many threads read, each where it is.
#[derive(Clone, Debug)]
pub(super) struct ImageReader(Arc<File>);

impl ImageReader {
    pub(super) fn new(image: File) -> Self {
        Self(Arc::new(image))
    }
}

impl Ext4Read for ImageReader {
    fn read(
        &mut self,
        start_byte: u64,
        bytes: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.read_exact_at(bytes, start_byte)?)
    }
}
