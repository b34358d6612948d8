//! Reading qcow2: versions 2 and 3, with clusters as they are or compressed with deflate.
//!
//! The disk is cut into clusters. For each there is an entry in an L2 table, which an entry
//! of the L1 table leads to.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress};
use zerocopy::{FromZeros, IntoBytes};

use super::container::{Container, ContainerFault, check_end, check_field, read};
use super::disk::{Disk, in_memory};
use super::format::Qcow2Header;
use crate::job::Job;

const NAME: &str = "qcow2";
const WHOLE_CLUSTERS: &str = "a multiple of a cluster's bytes";

/// `cluster_bits` that QEMU takes.
const CLUSTER_BITS: std::ops::RangeInclusive<u32> = 9..=21;
/// Bytes of the largest L1 table that QEMU takes.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Bytes of a disk: no more than a file may have.
const MAX_SIZE: u64 = i64::MAX as u64;

/// Bits of `incompatible_features`.
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
/// The refcounts may be wrong, and nobody reads them here.
const DIRTY: u64 = 1;

/// Bits of entries in L1 and L2 tables: where a table or cluster begins, and that it is
/// compressed, or zero.
const OFFSET: u64 = 0x00FF_FFFF_FFFF_FE00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Bytes of clusters that are kept when they are unpacked.
const CACHE_BYTES: u64 = 8 << 20;

/// A qcow2 image of which every number that is used again was checked.
#[derive(Debug)]
pub(super) struct Qcow2 {
    file: File,
    /// Bytes of the file.
    length: u64,
    cluster_bits: u32,
    l1: Vec<u64>,
    /// Clusters that were unpacked last, by their place, the newest first.
    cache: Mutex<VecDeque<(u64, Arc<[u8]>)>>,
}

/// What a cluster of the disk is.
enum Cluster {
    Zero,
    /// At this byte of the file.
    Plain(u64),
    /// In so many bytes from this byte of the file on.
    Compressed(u64, u64),
}

/// Opens the image that `file`, of `length` bytes, is.
pub(super) fn open(
    file: File,
    length: u64,
    job: &Job,
) -> Result<(Container, Disk), ContainerFault> {
    let header = header(&file, length)?;
    let cluster_bits = header.cluster_bits.get();
    let cluster_bytes = 1 << cluster_bits;
    let size = header.size.get();
    let l1 = l1_table(&file, length, &header)?;
    let qcow2 = Qcow2 {
        file,
        length,
        cluster_bits,
        l1,
        cache: Mutex::default(),
    };
    let container = Container::Qcow2 {
        version: header.version.get(),
        cluster_bytes,
        compressed: qcow2.has_compressed_clusters(job)?,
    };
    Ok((container, Disk::qcow2(qcow2, size)))
}

fn header(file: &File, length: u64) -> Result<Qcow2Header, ContainerFault> {
    let mut header = Qcow2Header::new_zeroed();
    read(file, header.as_mut_bytes(), 0)?;
    let version = header.version.get();
    check_field(NAME, "version", version, matches!(version, 2 | 3), "2 or 3")?;
    if version == 2 {
        header.incompatible_features = 0.into();
    }
    let bits = header.cluster_bits.get();
    let allowed = CLUSTER_BITS.contains(&bits);
    check_field(NAME, "cluster_bits", bits, allowed, "9 to 21")?;
    let features = header.incompatible_features.get();
    let has = |feature| features & feature != 0;
    let unsupported = [
        (header.backing_file_offset.get() != 0, "a backing file"),
        (header.crypt_method.get() != 0, "encryption"),
        (has(CORRUPT), "the mark that it is corrupt"),
        (has(EXTERNAL_DATA), "its data in another file"),
        (has(COMPRESSION_TYPE), "clusters compressed with zstd"),
        (has(EXTENDED_L2), "extended L2 tables"),
    ];
    let known = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;
    let unknown = (has(!known), "features that nobody knew");
    if let Some((_, feature)) = unsupported.iter().chain([&unknown]).find(|(has, _)| *has) {
        return Err(ContainerFault::Unsupported {
            container: NAME,
            feature,
        });
    }
    let size = header.size.get();
    check_field(NAME, "size", size, size <= MAX_SIZE, "2^63 - 1 at most")?;
    check_end(NAME, "the header", 0, 104, length)?;
    Ok(header)
}

/// The entries of the L1 table that the disk needs.
fn l1_table(file: &File, length: u64, header: &Qcow2Header) -> Result<Vec<u64>, ContainerFault> {
    let cluster_bits = header.cluster_bits.get();
    // An L2 table is a cluster of entries of 8 bytes.
    let needed = header.size.get().div_ceil(1 << (2 * cluster_bits - 3));
    let found = u64::from(header.l1_size.get());
    let enough = "as many entries as the disk needs";
    check_field(NAME, "l1_size", found, found >= needed, enough)?;
    let bytes = needed * 8;
    let few = "32 MiB at most";
    check_field(NAME, "l1_size", found, bytes <= MAX_L1_BYTES, few)?;
    let offset = header.l1_table_offset.get();
    check_end(NAME, "the L1 table", offset, bytes, length)?;
    let mut table = vec![0; in_memory(bytes)];
    read(file, &mut table, offset)?;
    Ok(entries(&table).collect())
}

fn entries(table: &[u8]) -> impl Iterator<Item = u64> {
    let (entries, _) = table.as_chunks::<8>();
    entries.iter().map(|bytes| u64::from_be_bytes(*bytes))
}

impl Qcow2 {
    fn cluster_bytes(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Whether a cluster is compressed; refuses tables that lead beyond the end.
    fn has_compressed_clusters(&self, job: &Job) -> Result<bool, ContainerFault> {
        let mut table = vec![0; in_memory(self.cluster_bytes())];
        let mut has_compressed = false;
        // No file has more tables than clusters: none is read again and again.
        let tables = self.l1.iter().filter(|entry| *entry & OFFSET != 0);
        let most = in_memory(self.length / self.cluster_bytes());
        for entry in tables.take(most) {
            job.check()?;
            let offset = entry & OFFSET;
            self.check_cluster("an L2 table", offset)?;
            read(&self.file, &mut table, offset)?;
            for entry in entries(&table) {
                let is_compressed = entry & COMPRESSED != 0;
                has_compressed |= is_compressed;
                let start = if is_compressed {
                    self.compressed(entry).0
                } else {
                    entry & OFFSET
                };
                // The last of them need not be whole.
                check_end(NAME, "the first byte of a cluster", start, 1, self.length)?;
            }
        }
        Ok(has_compressed)
    }

    /// Refuses `what`, a cluster of the file, unless it is all there.
    fn check_cluster(&self, what: &'static str, offset: u64) -> Result<(), ContainerFault> {
        let aligned = offset.is_multiple_of(self.cluster_bytes());
        check_field(NAME, what, offset, aligned, WHOLE_CLUSTERS)?;
        check_end(NAME, what, offset, self.cluster_bytes(), self.length)
    }

    /// Fills `bytes` from `offset` of the disk on, which ends behind them.
    pub(super) fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let within = offset % self.cluster_bytes();
            let left = in_memory(self.cluster_bytes() - within);
            let (part, rest) = bytes.split_at_mut(left.min(bytes.len()));
            offset += part.len() as u64;
            self.read_part(part, offset - part.len() as u64)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            bytes = rest;
        }
        Ok(())
    }

    /// Fills `part`, which lies in one cluster.
    fn read_part(&self, part: &mut [u8], offset: u64) -> Result<(), ContainerFault> {
        let within = offset % self.cluster_bytes();
        match self.cluster(offset >> self.cluster_bits)? {
            Cluster::Zero => part.fill(0),
            Cluster::Plain(start) => {
                let end = part.len() as u64;
                check_end(NAME, "a cluster", start + within, end, self.length)?;
                read(&self.file, part, start + within)?;
            }
            Cluster::Compressed(start, length) => {
                let unpacked = self.unpacked(start, length)?;
                part.copy_from_slice(&unpacked[in_memory(within)..][..part.len()]);
            }
        }
        Ok(())
    }

    /// What the cluster of this number is.
    fn cluster(&self, number: u64) -> Result<Cluster, ContainerFault> {
        let per_table = self.cluster_bits - 3;
        let l1_entry = self.l1.get(in_memory(number >> per_table)).copied();
        let table = l1_entry.unwrap_or_default() & OFFSET;
        if table == 0 {
            return Ok(Cluster::Zero);
        }
        self.check_cluster("an L2 table", table)?;
        let mut entry = [0; 8];
        let index = number % (1 << per_table);
        read(&self.file, &mut entry, table + 8 * index)?;
        let entry = u64::from_be_bytes(entry);
        if entry & COMPRESSED != 0 {
            let (start, length) = self.compressed(entry);
            return Ok(Cluster::Compressed(start, length));
        }
        let start = entry & OFFSET;
        if start == 0 || entry & ZERO != 0 {
            return Ok(Cluster::Zero);
        }
        let aligned = start.is_multiple_of(self.cluster_bytes());
        check_field(
            NAME,
            "the place of a cluster",
            start,
            aligned,
            WHOLE_CLUSTERS,
        )?;
        Ok(Cluster::Plain(start))
    }

    /// Where the bytes of a compressed cluster lie: they end within their last sector.
    fn compressed(&self, entry: u64) -> (u64, u64) {
        const SECTOR: u64 = 512;
        let shift = 62 - (self.cluster_bits - 8);
        let start = entry & ((1 << shift) - 1);
        let further_sectors = (entry & (COMPRESSED - 1)) >> shift;
        (start, (further_sectors + 1) * SECTOR - start % SECTOR)
    }

    /// The content of the compressed cluster in `length` bytes from `start` on.
    fn unpacked(&self, start: u64, length: u64) -> Result<Arc<[u8]>, ContainerFault> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = cache().iter().find(|(place, _)| *place == start) {
            return Ok(known.clone());
        }
        check_end(
            NAME,
            "the first byte of a compressed cluster",
            start,
            1,
            self.length,
        )?;
        // The last sector of the file need not be whole.
        let length = length.min(self.length - start);
        let mut packed = vec![0; in_memory(length)];
        read(&self.file, &mut packed, start)?;
        let unpacked =
            inflate(&packed, in_memory(self.cluster_bytes())).ok_or(ContainerFault::Cluster {
                container: NAME,
                start,
                bytes: self.cluster_bytes(),
            })?;
        let mut cache = cache();
        cache.push_front((start, unpacked.clone()));
        cache.truncate(in_memory((CACHE_BYTES >> self.cluster_bits).max(2)));
        Ok(unpacked)
    }
}

/// The `length` bytes that `packed` unpacks to, if they are as many.
fn inflate(packed: &[u8], length: usize) -> Option<Arc<[u8]>> {
    let mut unpacked = vec![0; length];
    let mut inflate = Decompress::new(false);
    inflate
        .decompress(packed, &mut unpacked, FlushDecompress::Finish)
        .ok()?;
    (inflate.total_out() == length as u64).then(|| unpacked.into())
}
