//! The bytes of VHD on disk, with the names of Microsoft's document.
//!
//! Source: "Virtual Hard Disk Image Format Specification", version 1.0 of 2006,
//! <https://www.microsoft.com/en-us/download/details.aspx?id=23850>. All integers are
//! big-endian. Fields stand in rows of 16 bytes where a row can be had.

use std::mem::offset_of;

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// "Hard Disk Footer": the last sector of the file, and of a dynamic disk the first too.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Footer {
    pub cookie: [u8; 8],
    pub features: U32,
    pub file_format_version: U32,

    pub data_offset: U64,
    pub time_stamp: U32,
    pub creator_application: [u8; 4],

    pub creator_version: U32,
    pub creator_host_os: [u8; 4],
    pub original_size: U64,

    pub current_size: U64,
    pub disk_geometry: Geometry,
    pub disk_type: U32,

    pub checksum: U32,
    pub unique_id: [u8; 16],
    pub saved_state: u8,
    pub reserved: [u8; 427],
}

const _: () = assert!(size_of::<Footer>() == 512);
const _: () = assert!(offset_of!(Footer, current_size) == 48);
const _: () = assert!(offset_of!(Footer, checksum) == 64);
const _: () = assert!(offset_of!(Footer, saved_state) == 84);

/// `disk_geometry`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Geometry {
    pub cylinders: U16,
    pub heads: u8,
    pub sectors_per_track: u8,
}

/// "Dynamic Disk Header": behind the copy of the footer.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct DynamicHeader {
    pub cookie: [u8; 8],
    pub data_offset: U64,

    pub table_offset: U64,
    pub header_version: U32,
    pub max_table_entries: U32,

    pub block_size: U32,
    pub checksum: U32,
    pub parent_unique_id: [u8; 16],
    pub parent_time_stamp: U32,
    pub reserved_1: U32,

    pub parent_unicode_name: [u8; 512],
    pub parent_locators: [[u8; 24]; 8],
    pub reserved_2: [u8; 256],
}

const _: () = assert!(size_of::<DynamicHeader>() == 1024);
const _: () = assert!(offset_of!(DynamicHeader, checksum) == 36);
const _: () = assert!(offset_of!(DynamicHeader, parent_unicode_name) == 64);
const _: () = assert!(offset_of!(DynamicHeader, reserved_2) == 768);

/// `cookie` of a footer.
pub(super) const FOOTER_COOKIE: [u8; 8] = *b"conectix";
/// `cookie` of a dynamic header.
pub(super) const DYNAMIC_COOKIE: [u8; 8] = *b"cxsparse";
/// `features`: none. The bit is reserved and always set.
pub(super) const NO_FEATURES: u32 = 2;
/// `file_format_version` and `header_version`.
pub(super) const VERSION: u32 = 0x0001_0000;
/// `data_offset` that leads nowhere.
pub(super) const NO_OFFSET: u64 = u64::MAX;
/// `disk_type`.
pub(super) const FIXED: u32 = 2;
/// `disk_type`.
pub(super) const DYNAMIC: u32 = 3;

/// An entry of the block allocation table: the sector of the file at which a block begins.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub(super) struct BlockEntry(pub U32);

/// The entry of a block that is not in the file.
pub(super) const NO_BLOCK: u32 = u32::MAX;

/// The entries in the bytes of a block allocation table.
pub(super) fn block_entries(table: &mut [u8]) -> &mut [BlockEntry] {
    FromBytes::mut_from_bytes(table).expect("a table is whole sectors, and has no alignment")
}

/// The checksum of a structure whose `checksum` is 0: what its bytes add up to, inverted.
pub(super) fn checksum(structure: &(impl IntoBytes + Immutable)) -> u32 {
    let bytes = structure.as_bytes().iter();
    !bytes.map(|byte| u32::from(*byte)).sum::<u32>()
}
