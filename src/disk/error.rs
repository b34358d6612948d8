//! Why there is no such disk.

use std::fmt;

use super::{GrubError, Partition};

/// What a message calls a partition: number, from 1, and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLabel {
    number: usize,
    name: String,
}

impl PartitionLabel {
    /// The label of the partition of `index`, from 0.
    #[must_use]
    pub fn new(index: usize, partition: &Partition) -> Self {
        Self {
            number: index + 1,
            name: partition.name.as_str().into(),
        }
    }
}

impl fmt::Display for PartitionLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "partition {}", self.number),
            name => write!(f, "partition {} ({name:?})", self.number),
        }
    }
}

/// Why there is no such disk. Numbers are bytes from the start of the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// More partitions than the table has room for.
    #[error("{found} partitions are too many; {table} holds at most {limit}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The kind of table.
        table: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A partition without a type in a table that wants one.
    #[error("{partition} has no type; {table} needs one, as \"linux\"")]
    NoType {
        /// The partition.
        partition: PartitionLabel,
        /// The kind of table.
        table: &'static str,
    },
    /// A type that the table cannot express.
    #[error("the type {kind:?} of {partition} is none of {table}; give {expected}")]
    Type {
        /// The partition.
        partition: PartitionLabel,
        /// The type, as an attribute says it.
        kind: String,
        /// The kind of table.
        table: &'static str,
        /// What would do.
        expected: &'static str,
    },
    /// A number that is no multiple of the sector size.
    #[error("{what} is {bytes}, which is no multiple of {unit} bytes, a sector of the disk")]
    Unaligned {
        /// What has the number.
        what: String,
        /// The number, in bytes.
        bytes: u64,
        /// Bytes of a sector.
        unit: u64,
    },
    /// A partition of no size.
    #[error("{partition} has neither content nor a size; give it a size in bytes")]
    Empty {
        /// The partition.
        partition: PartitionLabel,
    },
    /// A partition that takes what is left of a disk whose end is not known.
    #[error(
        "{partition} takes the rest of the disk; give the size of the disk, or \"fit\" as that of the partition"
    )]
    RestOfNothing {
        /// The partition.
        partition: PartitionLabel,
    },
    /// A partition that takes what is left where nothing is.
    #[error(
        "{partition} takes the rest of the disk, and none is left: it would start at byte {start}, and the disk has room up to {size}; make the disk larger"
    )]
    NothingLeft {
        /// The partition.
        partition: PartitionLabel,
        /// Where it would start.
        start: u64,
        /// Bytes of the disk that may be used.
        size: u64,
    },
    /// A partition behind one that takes what is left of the disk.
    #[error(
        "{partition} takes the rest of the disk, and {behind} stands behind it; give that a start, or this a size in bytes"
    )]
    BehindRest {
        /// The partition that takes the rest.
        partition: PartitionLabel,
        /// The next one that has no place of its own.
        behind: PartitionLabel,
    },
    /// Content that is larger than its partition.
    #[error(
        "the content of {partition} has {needed} bytes, the partition {size}; give it at least as many, or \"fit\" as its size"
    )]
    TooSmall {
        /// The partition.
        partition: PartitionLabel,
        /// Bytes of the content.
        needed: u64,
        /// Bytes of the partition.
        size: u64,
    },
    /// Something that begins or ends behind the disk.
    #[error(
        "{what} stands at bytes {start} to {end}, beyond the end of the disk at {size}; make the disk larger"
    )]
    Beyond {
        /// What it is.
        what: String,
        /// Its first byte.
        start: u64,
        /// The byte behind it.
        end: u64,
        /// Bytes of the disk that may be used.
        size: u64,
    },
    /// Two things at one place.
    #[error(
        "{second} stands at bytes {start} to {end} and overlaps {first}, which ends at {first_end}; {remedy}"
    )]
    Overlap {
        /// What begins first.
        first: String,
        /// The byte behind that.
        first_end: u64,
        /// What begins later.
        second: String,
        /// Its first byte.
        start: u64,
        /// The byte behind it.
        end: u64,
        /// What can be moved, and where.
        remedy: String,
    },
    /// More sectors than a master boot record can count.
    #[error(
        "{partition} stands at bytes {start} to {end}; an MBR counts to {limit} (2 TiB), so use a GPT"
    )]
    BeyondMbr {
        /// The partition.
        partition: PartitionLabel,
        /// Its first byte.
        start: u64,
        /// The byte behind it.
        end: u64,
        /// Bytes that are within reach.
        limit: u64,
    },
    /// A disk that is larger than can be.
    #[error("{what} would end beyond 8 EiB, where no file does; make it smaller")]
    TooLarge {
        /// What it is.
        what: String,
    },
    /// GRUB's code cannot stand on the disk.
    #[error(transparent)]
    Grub(#[from] GrubError),
}
