//! A compressed image, unpacked with holes where it is zero: most of an image may be
//! free.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::job::Job;

/// Unpacks what `compressed` is, with zstd, into `file`, which is empty; gives it back.
pub(crate) fn unpack(compressed: impl Read, file: File, job: &Job) -> io::Result<File> {
    let mut unpacked = SparseWriter { file, job };
    zstd::stream::copy_decode(compressed, &mut unpacked)?;
    unpacked.finish()
}

/// Writes to an empty file, and makes a hole of every write that is all zeros.
struct SparseWriter<'a> {
    file: File,
    job: &'a Job,
}

impl SparseWriter<'_> {
    /// The file, which may end in a hole.
    fn finish(mut self) -> io::Result<File> {
        let length = self.file.stream_position()?;
        self.file.set_len(length)?;
        Ok(self.file)
    }
}

impl Write for SparseWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.job.check().map_err(io::Error::other)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return self.file.write(bytes);
        }
        let length = i64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.file.seek(SeekFrom::Current(length))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_image_is_what_was_compressed() {
        let mut image = vec![0; 1 << 20];
        image[300_000..300_100].fill(7);
        let compressed = zstd::stream::encode_all(&image[..], 3).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut unpacked = unpack(&compressed[..], file, &Job::default()).unwrap();
        let mut bytes = Vec::new();
        unpacked.rewind().unwrap();
        unpacked.read_to_end(&mut bytes).unwrap();
        assert!(bytes == image);
    }

    #[test]
    fn an_interrupt_ends_the_unpacking() {
        let compressed = zstd::stream::encode_all(&[0; 100][..], 3).unwrap();
        let job = Job::default();
        job.stop();
        let file = tempfile::tempfile().unwrap();
        assert!(unpack(&compressed[..], file, &job).is_err());
    }
}
