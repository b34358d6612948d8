//! qcow2 with compressed clusters, as `qemu-img convert -c` makes it.
//!
//! Each covered cluster becomes a raw deflate stream; those lie one behind the other, at any
//! byte. One that would not be smaller is stored as it is, at a cluster of the file. So the place of
//! each hangs on those before: they are compressed on all threads and placed in order.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::{Compress, Compression, FlushCompress, Status};
use rayon::prelude::*;

use super::format::{self, CLUSTER, CLUSTER_LENGTH};
use super::{Guest, Qcow2, Stored};
use crate::image::container::ContainerError;
use crate::image::ordered::write_in_order;
use crate::image::{Pieces, WriteError, write};
use crate::job::Job;
use crate::source::Watch;

/// An image to be written as qcow2 with compressed clusters.
#[derive(Debug)]
pub(in crate::image) struct CompressedQcow2 {
    guest: Arc<Guest>,
    /// The covered clusters alone.
    clusters: Pieces,
}

/// QEMU unpacks with a window of 4 KiB, and so no distance may be larger.
const WINDOW_BITS: u8 = 12;
/// Between speed and size: that of `qemu-img`.
const LEVEL: u32 = 6;
/// Clusters that are compressed at once, for each thread: enough to keep all threads busy
/// when one is done before another.
const CLUSTERS_PER_THREAD: usize = 32;

impl CompressedQcow2 {
    /// The image that `pieces` are.
    pub(in crate::image) fn new(pieces: Pieces) -> Result<Self, ContainerError> {
        let guest = Guest::new(&pieces)?;
        let size = guest.clusters.count() * CLUSTER;
        let clusters = Pieces::new(size, guest.pack(pieces, 0));
        Ok(Self {
            guest: Arc::new(guest),
            clusters,
        })
    }

    /// Bytes by which a job advances while it is written, but for tables.
    pub(in crate::image) fn work(&self) -> u64 {
        self.clusters.size()
    }

    /// Bytes of the image that are not holes.
    pub(in crate::image) fn covered(&self) -> u64 {
        self.clusters.covered()
    }

    /// Writes the image into `file`, and shows what is marked in it to `watch`. `finish`
    /// gives what is late, or says why there shall be no image.
    pub(in crate::image) fn write_watched<E: From<WriteError>>(
        &self,
        file: &File,
        watch: &dyn Watch,
        finish: impl FnOnce() -> Result<(), E>,
        job: &Job,
    ) -> Result<(), E> {
        let mut data = Data::new(file, self.guest.data_offset());
        write_in_order(&self.clusters, &mut data, watch, finish, job)?;
        data.flush().map_err(|source| WriteError::Write {
            offset: self.clusters.size(),
            source,
        })?;
        let image = Qcow2::new(self.guest.clone(), data.stored());
        let mut tables = Vec::new();
        image.push_tables(&mut tables);
        Ok(write(&Pieces::new(image.size(), tables), file, job)?)
    }
}

/// What compresses clusters that are written to it, and writes them to the file.
struct Data<'a> {
    file: &'a File,
    /// Clusters that are not compressed yet, the last perhaps in part.
    pending: Vec<u8>,
    /// Bytes of `pending` that are compressed at once.
    round: usize,
    places: Places,
    /// For each cluster that is written, the entry of an L2 table.
    entries: Vec<u64>,
}

impl<'a> Data<'a> {
    /// Data is written from `offset` of `file` on.
    fn new(file: &'a File, offset: u64) -> Self {
        let round = CLUSTERS_PER_THREAD * rayon::current_num_threads() * CLUSTER_LENGTH;
        Self {
            file,
            pending: Vec::with_capacity(round),
            round,
            places: Places::new(offset),
            entries: Vec::new(),
        }
    }

    fn stored(self) -> Stored {
        Stored::Compressed {
            entries: self.entries,
            refcounts: self.places.refcounts,
        }
    }
}

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.round - self.pending.len());
        self.pending.extend_from_slice(&bytes[..length]);
        if self.pending.len() == self.round {
            self.flush()?;
        }
        Ok(length)
    }

    /// Compresses all that is there, which is whole clusters, and writes it.
    fn flush(&mut self) -> io::Result<()> {
        let compressed: Vec<Option<Vec<u8>>> = self
            .pending
            .par_chunks_exact(CLUSTER_LENGTH)
            .map_init(Deflate::new, Deflate::compress)
            .collect();
        let plain = self.pending.chunks_exact(CLUSTER_LENGTH);
        let mut writes = Vec::with_capacity(compressed.len());
        for (compressed, plain) in compressed.iter().zip(plain) {
            let (offset, entry, bytes) = if let Some(bytes) = compressed {
                let length = bytes.len() as u64;
                let offset = self.places.compressed(length);
                (offset, format::compressed(offset, length), &bytes[..])
            } else {
                let offset = self.places.plain();
                (offset, format::copied(offset), plain)
            };
            self.entries.push(entry);
            writes.push((offset, bytes));
        }
        writes
            .into_par_iter()
            .try_for_each(|(offset, bytes)| self.file.write_all_at(bytes, offset))?;
        self.pending.clear();
        Ok(())
    }
}

struct Deflate(Compress);

impl Deflate {
    fn new() -> Self {
        let level = Compression::new(LEVEL);
        Self(Compress::new_with_window_bits(level, false, WINDOW_BITS))
    }

    /// A cluster as a deflate stream, if that is smaller.
    fn compress(&mut self, cluster: &[u8]) -> Option<Vec<u8>> {
        self.0.reset();
        let mut stream = vec![0; CLUSTER_LENGTH - 1];
        let status = self
            .0
            .compress(cluster, &mut stream, FlushCompress::Finish)
            .expect("a stream that was just begun takes what it is given");
        if status != Status::StreamEnd {
            return None;
        }
        let length = usize::try_from(self.0.total_out()).expect("the stream is in memory");
        stream.truncate(length);
        Some(stream)
    }
}

/// The clusters of the file that hold data, with what is free in them.
struct Places {
    /// Bytes of the file before the first of them.
    start: u64,
    /// How often each is used.
    refcounts: Vec<u16>,
    /// Free bytes up to the end of a cluster that holds compressed ones.
    free: Range<u64>,
}

impl Places {
    fn new(start: u64) -> Self {
        Self {
            start,
            refcounts: Vec::new(),
            free: start..start,
        }
    }

    /// The end of the last cluster.
    fn end(&self) -> u64 {
        self.start + self.refcounts.len() as u64 * CLUSTER
    }

    /// The place of a cluster that is stored as it is.
    fn plain(&mut self) -> u64 {
        let offset = self.end();
        self.refcounts.push(1);
        offset
    }

    /// The place of a compressed cluster of `length` bytes, at least one.
    fn compressed(&mut self, length: u64) -> u64 {
        if self.free.end - self.free.start < length && self.free.end != self.end() {
            self.free = self.end()..self.end();
        }
        let offset = self.free.start;
        self.free.start += length;
        while self.free.end < self.free.start {
            self.refcounts.push(0);
            self.free.end += CLUSTER;
        }
        let first = (offset - self.start) / CLUSTER;
        let last = (self.free.start - 1 - self.start) / CLUSTER;
        for cluster in first..=last {
            self.refcounts[super::in_memory(cluster)] += 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    #[test]
    fn compressed_clusters_fill_clusters_of_the_file_between_plain_ones() {
        let mut places = Places::new(10 * CLUSTER);
        let at = |cluster: u64, byte: u64| cluster * CLUSTER + byte;
        assert_eq!(places.compressed(1000), at(10, 0));
        // It goes on in the next cluster, which is free.
        assert_eq!(places.compressed(CLUSTER - 1), at(10, 1000));
        assert_eq!(places.plain(), at(12, 0));
        // What is left of a cluster is used behind a plain one.
        assert_eq!(places.compressed(2000), at(11, 999));
        // And is not, if it is too small.
        assert_eq!(places.compressed(CLUSTER - 2998), at(13, 0));
        assert_eq!(places.compressed(2998), at(13, CLUSTER - 2998));
        assert_eq!(places.compressed(1), at(14, 0));
        assert_eq!(places.refcounts, [2, 2, 1, 2, 1]);
    }

    #[test]
    fn the_entry_of_a_compressed_cluster_counts_further_sectors() {
        let entry = |offset, length| format::compressed(offset, length);
        assert_eq!(entry(65536, 1), 1 << 62 | 65536);
        assert_eq!(entry(65536, 512), 1 << 62 | 65536);
        assert_eq!(entry(65536, 513), 1 << 62 | 1 << 54 | 65536);
        assert_eq!(entry(65536 + 511, 2), 1 << 62 | 1 << 54 | (65536 + 511));
        assert_eq!(
            entry(65536 + 511, 65535),
            1 << 62 | 128 << 54 | (65536 + 511)
        );
    }

    #[test]
    fn a_stream_is_unpacked_with_the_window_of_qemu() {
        // Each half is noise, and the second is the first: far behind a window of 4 KiB.
        let half: Vec<u8> = (0..CLUSTER / 2)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 & 0x3f)
            .collect();
        let cluster = [&half[..], &half].concat();
        let stream = Deflate::new().compress(&cluster).unwrap();
        let mut unpacked = vec![0; CLUSTER_LENGTH];
        let status = Decompress::new_with_window_bits(false, WINDOW_BITS)
            .decompress(&stream, &mut unpacked, FlushDecompress::Finish)
            .unwrap();
        assert_eq!(status, Status::StreamEnd);
        assert!(unpacked == cluster);
    }

    #[test]
    fn what_would_not_be_smaller_is_not_compressed() {
        let noise: Vec<u8> = (0..CLUSTER)
            .map(u64::to_le_bytes)
            .flat_map(|bytes| crc32c::crc32c(&bytes).to_le_bytes())
            .take(CLUSTER_LENGTH)
            .collect();
        let mut deflate = Deflate::new();
        assert_eq!(deflate.compress(&noise), None);
        let zeros = deflate.compress(&vec![0; CLUSTER_LENGTH]).unwrap();
        assert!(zeros.len() < 512, "{}", zeros.len());
    }
}
