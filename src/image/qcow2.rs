//! An image as qcow2, version 3: only what pieces cover is allocated.
//!
//! ```text
//! header │ L1 table │ L2 tables │ data: the covered clusters, in order │ refcount blocks │ refcount table
//! ```
//!
//! There is an L2 table where a cluster of its part of the disk is covered. Everything is
//! known before a byte is written but where compressed clusters lie. So without compression
//! an image is pieces again, which are moved, and tables, which are encoded when they are
//! written.

mod compressed;
mod format;

use std::sync::Arc;

use zerocopy::IntoBytes;

use super::container::{ContainerError, check_size};
use super::covered::Covered;
use super::{Content, Encode, Piece, Pieces};
use crate::source::Source;
pub(super) use compressed::CompressedQcow2;
use format::{CLUSTER, ENTRIES_PER_CLUSTER, Header, REFCOUNTS_PER_BLOCK};

/// Bytes of the disk that one L2 table is for.
const TABLE_BYTES: u64 = ENTRIES_PER_CLUSTER * CLUSTER;

/// Bytes of the largest disk: QEMU takes an L1 table of at most 32 MiB.
const LIMIT: u64 = (32 << 20) / 8 * TABLE_BYTES;

/// The image that `pieces` are, as a qcow2 image.
pub(super) fn qcow2(pieces: Pieces) -> Result<Pieces, ContainerError> {
    let guest = Guest::new(&pieces)?;
    let data = guest.data_offset();
    let mut pieces = guest.pack(pieces, data);
    let image = Qcow2::new(Arc::new(guest), Stored::Plain);
    image.push_tables(&mut pieces);
    Ok(Pieces::new(image.size(), pieces))
}

/// The disk in the file.
#[derive(Debug)]
struct Guest {
    /// Bytes.
    size: u64,
    /// Its clusters.
    clusters: Covered,
    /// The parts of it that have an L2 table.
    tables: Covered,
}

/// The file.
#[derive(Debug)]
struct Qcow2 {
    guest: Arc<Guest>,
    stored: Stored,
    layout: Layout,
}

/// How the covered clusters are stored.
#[derive(Debug)]
enum Stored {
    /// Each as it is, in the order of ranks.
    Plain,
    /// As it came out.
    Compressed {
        /// The entry of an L2 table for each, in the order of ranks.
        entries: Vec<u64>,
        /// The refcount of each cluster of the file that holds data, in order.
        refcounts: Vec<u16>,
    },
}

/// Where the parts lie in the file, in clusters from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    /// Clusters of data end here, and refcount blocks begin.
    refcount_blocks: u64,
    /// The refcount table begins here.
    refcount_table: u64,
    /// The file ends here.
    end: u64,
}

/// The L1 table begins behind the header, which takes a cluster.
const L1_TABLE: u64 = 1;

impl Guest {
    fn new(pieces: &Pieces) -> Result<Self, ContainerError> {
        check_size("qcow2", pieces.size(), LIMIT)?;
        Ok(Self {
            size: pieces.size(),
            clusters: Covered::new(pieces, CLUSTER),
            tables: Covered::new(pieces, TABLE_BYTES),
        })
    }

    /// Entries of the L1 table.
    fn l1_entries(&self) -> u64 {
        self.size.div_ceil(TABLE_BYTES)
    }

    /// Where the L2 tables begin, in clusters.
    fn l2_tables(&self) -> u64 {
        L1_TABLE + self.l1_entries().div_ceil(ENTRIES_PER_CLUSTER)
    }

    /// Where data begins, in clusters.
    fn data(&self) -> u64 {
        self.l2_tables() + self.tables.count()
    }

    /// Where data begins, in bytes.
    fn data_offset(&self) -> u64 {
        self.data() * CLUSTER
    }

    /// The covered clusters one behind the other, from `offset` on. Where pieces touch they
    /// still do, so that no piece is cut.
    fn pack(&self, pieces: Pieces, offset: u64) -> Vec<Piece> {
        let mut pieces = pieces.into_vec();
        for piece in &mut pieces {
            let (rank, within) = self.clusters.place(piece.offset);
            piece.offset = offset + rank * CLUSTER + within;
        }
        pieces
    }
}

impl Layout {
    /// Of a file whose data ends at the cluster `data_end`.
    fn new(data_end: u64) -> Self {
        // The refcounts count their own clusters: more of them never make fewer.
        let [mut blocks, mut table] = [0, 0];
        loop {
            let end = data_end + blocks + table;
            let needed = end.div_ceil(REFCOUNTS_PER_BLOCK);
            if needed == blocks {
                return Self {
                    refcount_blocks: data_end,
                    refcount_table: data_end + blocks,
                    end,
                };
            }
            blocks = needed;
            table = blocks.div_ceil(ENTRIES_PER_CLUSTER);
        }
    }
}

impl Qcow2 {
    fn new(guest: Arc<Guest>, stored: Stored) -> Arc<Self> {
        let data_clusters = match &stored {
            Stored::Plain => guest.clusters.count(),
            Stored::Compressed { refcounts, .. } => refcounts.len() as u64,
        };
        Arc::new(Self {
            layout: Layout::new(guest.data() + data_clusters),
            guest,
            stored,
        })
    }

    /// Bytes of the file.
    fn size(&self) -> u64 {
        self.layout.end * CLUSTER
    }

    /// All but data.
    fn push_tables(self: &Arc<Self>, pieces: &mut Vec<Piece>) {
        let mut push = |cluster, clusters, content| {
            pieces.push(Piece {
                offset: cluster * CLUSTER,
                length: clusters * CLUSTER,
                content,
            });
        };
        let table = |structure| {
            Content::Encoded(Arc::new(Table {
                structure,
                image: self.clone(),
            }))
        };
        let Layout {
            refcount_blocks,
            refcount_table,
            end,
        } = self.layout;
        let l2_tables = self.guest.l2_tables();

        let header = Content::Source {
            source: Source::bytes(self.header().as_bytes()),
            skip: 0,
        };
        push(0, L1_TABLE, header);
        push(L1_TABLE, l2_tables - L1_TABLE, table(Structure::L1));
        for (part, rank) in self.guest.tables.within(0..self.guest.l1_entries()) {
            push(l2_tables + rank, 1, table(Structure::L2 { part }));
        }
        for index in 0..refcount_table - refcount_blocks {
            let block = table(Structure::RefcountBlock { index });
            push(refcount_blocks + index, 1, block);
        }
        push(
            refcount_table,
            end - refcount_table,
            table(Structure::RefcountTable),
        );
    }

    fn header(&self) -> Header {
        let narrow = |number: u64| u32::try_from(number).expect("the size of the disk is checked");
        Header {
            magic: format::MAGIC.into(),
            version: format::VERSION.into(),
            backing_file_offset: 0.into(),
            backing_file_size: 0.into(),
            cluster_bits: format::CLUSTER_BITS.into(),
            size: self.guest.size.into(),
            crypt_method: 0.into(),
            l1_size: narrow(self.guest.l1_entries()).into(),
            l1_table_offset: (L1_TABLE * CLUSTER).into(),
            refcount_table_offset: (self.layout.refcount_table * CLUSTER).into(),
            refcount_table_clusters: narrow(self.layout.end - self.layout.refcount_table).into(),
            nb_snapshots: 0.into(),
            snapshots_offset: 0.into(),
            incompatible_features: 0.into(),
            compatible_features: 0.into(),
            autoclear_features: 0.into(),
            refcount_order: format::REFCOUNT_ORDER.into(),
            header_length: format::HEADER_LENGTH.into(),
            extension_type: 0.into(),
            extension_length: 0.into(),
        }
    }

    /// The entry of an L2 table for the covered cluster of `rank`.
    fn entry(&self, rank: u64) -> u64 {
        match &self.stored {
            Stored::Plain => format::copied((self.guest.data() + rank) * CLUSTER),
            Stored::Compressed { entries, .. } => entries[in_memory(rank)],
        }
    }

    /// How often a cluster of the file is used.
    fn refcount(&self, cluster: u64) -> u16 {
        match &self.stored {
            Stored::Compressed { refcounts, .. } => cluster
                .checked_sub(self.guest.data())
                .and_then(|data| refcounts.get(in_memory(data)).copied())
                .unwrap_or(1),
            Stored::Plain => 1,
        }
    }
}

/// A table of the file, that encodes itself.
#[derive(Debug)]
struct Table {
    structure: Structure,
    image: Arc<Qcow2>,
}

#[derive(Debug)]
enum Structure {
    L1,
    /// Of the disk's `part`, counted in what one such table is for.
    L2 {
        part: u64,
    },
    RefcountBlock {
        index: u64,
    },
    RefcountTable,
}

impl Encode for Table {
    fn encode(&self, bytes: &mut [u8]) {
        let image = &self.image;
        let guest = &image.guest;
        match self.structure {
            Structure::L1 => {
                let entries = format::entries(bytes);
                for (part, rank) in guest.tables.within(0..guest.l1_entries()) {
                    let offset = (guest.l2_tables() + rank) * CLUSTER;
                    entries[in_memory(part)].0 = format::copied(offset).into();
                }
            }
            Structure::L2 { part } => {
                let entries = format::entries(bytes);
                let first = part * ENTRIES_PER_CLUSTER;
                for (cluster, rank) in guest.clusters.within(first..first + ENTRIES_PER_CLUSTER) {
                    entries[in_memory(cluster - first)].0 = image.entry(rank).into();
                }
            }
            Structure::RefcountBlock { index } => {
                let clusters = index * REFCOUNTS_PER_BLOCK..image.layout.end;
                for (refcount, cluster) in format::refcounts(bytes).iter_mut().zip(clusters) {
                    refcount.0 = image.refcount(cluster).into();
                }
            }
            Structure::RefcountTable => {
                let blocks = image.layout.refcount_blocks..image.layout.refcount_table;
                for (entry, block) in format::entries(bytes).iter_mut().zip(blocks) {
                    entry.0 = (block * CLUSTER).into();
                }
            }
        }
    }
}

fn in_memory(number: u64) -> usize {
    usize::try_from(number).expect("tables are made in memory")
}

#[cfg(test)]
mod tests;
