//! The bytes of qcow2 on disk, with the names of QEMU's document.
//!
//! Source: <https://www.qemu.org/docs/master/interop/qcow2.html>. All integers are big-endian.
//! The file is cut into clusters, and so is the disk in it, the guest's. Two levels of tables
//! lead from the guest's clusters to those of the file; refcounts say how often each cluster
//! of the file is used.

#![expect(clippy::struct_field_names, reason = "they are QEMU's")]

use std::mem::offset_of;

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The start of the file, of version 3.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Header {
    pub magic: U32,
    pub version: U32,
    pub backing_file_offset: U64,

    pub backing_file_size: U32,
    pub cluster_bits: U32,
    pub size: U64,

    pub crypt_method: U32,
    pub l1_size: U32,
    pub l1_table_offset: U64,

    pub refcount_table_offset: U64,
    pub refcount_table_clusters: U32,
    pub nb_snapshots: U32,

    pub snapshots_offset: U64,
    pub incompatible_features: U64,

    pub compatible_features: U64,
    pub autoclear_features: U64,

    pub refcount_order: U32,
    pub header_length: U32,
    /// The first header extension, which says that there is none.
    pub extension_type: U32,
    pub extension_length: U32,
}

/// `header_length`: bytes before the extensions.
pub(super) const HEADER_LENGTH: u32 = 104;

const _: () = assert!(size_of::<Header>() == 112);
const _: () = assert!(offset_of!(Header, size) == 24);
const _: () = assert!(offset_of!(Header, l1_table_offset) == 40);
const _: () = assert!(offset_of!(Header, refcount_table_offset) == 48);
const _: () = assert!(offset_of!(Header, incompatible_features) == 72);
const _: () = assert!(offset_of!(Header, extension_type) == HEADER_LENGTH as usize);

/// `magic`: `QFI\xfb`.
pub(super) const MAGIC: u32 = 0x5146_49FB;
/// `version`.
pub(super) const VERSION: u32 = 3;
/// `cluster_bits`: clusters of 64 KiB, as `qemu-img` makes them.
pub(super) const CLUSTER_BITS: u32 = 16;
/// `refcount_order`: a refcount has 16 bits, as `qemu-img` makes them.
pub(super) const REFCOUNT_ORDER: u32 = 4;

/// Bytes of a cluster.
pub(super) const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// [`CLUSTER`] for bytes in memory.
pub(super) const CLUSTER_LENGTH: usize = 1 << CLUSTER_BITS;
/// Entries in an L2 table or in a cluster of the refcount table, each of 8 bytes.
pub(super) const ENTRIES_PER_CLUSTER: u64 = CLUSTER / 8;
/// Refcounts in a refcount block, which is a cluster.
pub(super) const REFCOUNTS_PER_BLOCK: u64 = CLUSTER / 2;

/// An entry of the L1 table, of an L2 table or of the refcount table.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct Entry(pub U64);

/// A refcount.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct Refcount(pub U16);

/// `QCOW_OFLAG_COPIED`, in entries of L1 and L2 tables: the refcount is exactly 1.
const COPIED: u64 = 1 << 63;
/// `QCOW_OFLAG_COMPRESSED`, in entries of L2 tables.
const COMPRESSED: u64 = 1 << 62;
/// In the entry of a compressed cluster: where the number of further sectors begins.
const SECTORS_SHIFT: u32 = 62 - (CLUSTER_BITS - 8);
/// Bytes of the sectors that a compressed cluster lies in.
const SECTOR: u64 = 512;

/// The entry for a table or a cluster at `offset` of the file that nothing else uses.
pub(super) fn copied(offset: u64) -> u64 {
    COPIED | offset
}

/// The entry for a compressed cluster whose `length` bytes lie at `offset` of the file.
pub(super) fn compressed(offset: u64, length: u64) -> u64 {
    let further_sectors = (offset + length - 1) / SECTOR - offset / SECTOR;
    COMPRESSED | further_sectors << SECTORS_SHIFT | offset
}

/// The entries in the bytes of a table.
pub(super) fn entries(table: &mut [u8]) -> &mut [Entry] {
    FromBytes::mut_from_bytes(table).expect("a table is whole clusters, and has no alignment")
}

/// The refcounts in the bytes of a refcount block.
pub(super) fn refcounts(block: &mut [u8]) -> &mut [Refcount] {
    FromBytes::mut_from_bytes(block).expect("a block is a cluster, and has no alignment")
}
