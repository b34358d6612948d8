//! An image as VHD, which QEMU calls `vpc`.
//!
//! ```text
//! fixed    the disk │ footer
//! dynamic  footer │ header │ block allocation table │ blocks that pieces cover, in order │ footer
//! ```
//!
//! A block has a head, which ends with a bitmap of its sectors, all of them used, and 2 MiB of
//! the disk. All is known before a byte is written: the image is pieces again, which are
//! moved, and cut between blocks.

mod format;

use std::sync::Arc;

use zerocopy::IntoBytes;

use super::container::{ContainerError, Identity, SECTOR, check_size};
use super::covered::Covered;
use super::{Content, Encode, Piece, Pieces};
use crate::source::Source;
use format::{DynamicHeader, Footer, Geometry};

/// How a VHD image holds the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VhdForm {
    /// As it is, with a footer: what Azure takes.
    Fixed,
    /// In blocks of 2 MiB, of which those without data are not in the file.
    Dynamic,
}

/// Bytes of the largest disk, of `0xff00_0000` sectors: what Hyper-V, Azure and QEMU take.
const LIMIT: u64 = 0xff00_0000 * SECTOR;

/// Bytes of the disk in a block.
const BLOCK: u64 = 2 << 20;
/// [`BLOCK`] for the header.
const BLOCK_U32: u32 = 2 << 20;
/// Bytes before them. The bitmap takes the last sector; the others let the disk begin
/// where a page of the host's cache does, so that no page is written twice.
const HEAD: u64 = 4096;

/// Where the dynamic header lies.
const HEADER_OFFSET: u64 = SECTOR;
/// Where the block allocation table lies.
const TABLE_OFFSET: u64 = HEADER_OFFSET + size_of::<DynamicHeader>() as u64;

/// The image that `pieces` are, as a VHD image.
pub(super) fn vhd(
    pieces: Pieces,
    form: VhdForm,
    identity: Identity,
) -> Result<Pieces, ContainerError> {
    check_size("VHD", pieces.size(), LIMIT)?;
    Ok(match form {
        VhdForm::Fixed => fixed(pieces, identity),
        VhdForm::Dynamic => dynamic(pieces, identity),
    })
}

fn fixed(pieces: Pieces, identity: Identity) -> Pieces {
    let size = pieces.size();
    let mut pieces = pieces.into_vec();
    pieces.push(structure(size, &footer(size, VhdForm::Fixed, identity)));
    Pieces::new(size + SECTOR, pieces)
}

fn dynamic(pieces: Pieces, identity: Identity) -> Pieces {
    let size = pieces.size();
    let table = Arc::new(BlockTable::new(&pieces));
    let footer = footer(size, VhdForm::Dynamic, identity);
    let end = table.block_offset(table.blocks.count());
    let mut moved = vec![
        structure(0, &footer),
        structure(HEADER_OFFSET, &dynamic_header(table.entries)),
        Piece {
            offset: TABLE_OFFSET,
            length: table.length(),
            content: Content::Encoded(table.clone()),
        },
        structure(end, &footer),
    ];
    for (_, rank) in table.blocks.within(0..table.entries) {
        moved.push(Piece {
            offset: table.block_offset(rank),
            length: HEAD,
            content: Content::Encoded(Arc::new(Head)),
        });
    }
    for piece in pieces.into_vec() {
        table.push_moved(piece, &mut moved);
    }
    Pieces::new(end + SECTOR, moved)
}

/// A piece that is a structure.
fn structure(offset: u64, structure: &(impl IntoBytes + zerocopy::Immutable)) -> Piece {
    let bytes = structure.as_bytes();
    Piece {
        offset,
        length: bytes.len() as u64,
        content: Content::Source {
            source: Source::bytes(bytes),
            skip: 0,
        },
    }
}

/// The footer of a disk of `size` bytes.
///
/// Readers differ in whether they believe the size or the geometry. Of who is named as
/// `qemu-img` names itself with `force_size`, QEMU believes the size, and so does everybody of
/// the largest geometry. The time is 0: 2000-01-01.
fn footer(size: u64, form: VhdForm, Identity(unique_id): Identity) -> Footer {
    let (disk_type, data_offset) = match form {
        VhdForm::Fixed => (format::FIXED, format::NO_OFFSET),
        VhdForm::Dynamic => (format::DYNAMIC, HEADER_OFFSET),
    };
    let mut footer = Footer {
        cookie: format::FOOTER_COOKIE,
        features: format::NO_FEATURES.into(),
        file_format_version: format::VERSION.into(),
        data_offset: data_offset.into(),
        time_stamp: 0.into(),
        creator_application: *b"qem2",
        creator_version: 0x0005_0003.into(),
        creator_host_os: *b"Wi2k",
        original_size: size.into(),
        current_size: size.into(),
        disk_geometry: Geometry {
            cylinders: 65535.into(),
            heads: 16,
            sectors_per_track: 255,
        },
        disk_type: disk_type.into(),
        checksum: 0.into(),
        unique_id,
        saved_state: 0,
        reserved: [0; 427],
    };
    footer.checksum = format::checksum(&footer).into();
    footer
}

/// The header of a disk of `blocks` blocks.
fn dynamic_header(blocks: u64) -> DynamicHeader {
    let mut header = DynamicHeader {
        cookie: format::DYNAMIC_COOKIE,
        data_offset: format::NO_OFFSET.into(),
        table_offset: TABLE_OFFSET.into(),
        header_version: format::VERSION.into(),
        max_table_entries: narrow(blocks).into(),
        block_size: BLOCK_U32.into(),
        checksum: 0.into(),
        parent_unique_id: [0; 16],
        parent_time_stamp: 0.into(),
        reserved_1: 0.into(),
        parent_unicode_name: [0; 512],
        parent_locators: [[0; 24]; 8],
        reserved_2: [0; 256],
    };
    header.checksum = format::checksum(&header).into();
    header
}

/// The block allocation table.
#[derive(Debug)]
struct BlockTable {
    /// How many blocks the disk has.
    entries: u64,
    /// Those that are in the file.
    blocks: Covered,
}

impl BlockTable {
    fn new(pieces: &Pieces) -> Self {
        Self {
            entries: pieces.size().div_ceil(BLOCK),
            blocks: Covered::new(pieces, BLOCK),
        }
    }

    /// Bytes of the table: whole sectors.
    fn length(&self) -> u64 {
        let entry = size_of::<format::BlockEntry>() as u64;
        (self.entries * entry).next_multiple_of(SECTOR)
    }

    /// Where the block of `rank` begins in the file.
    fn block_offset(&self, rank: u64) -> u64 {
        (TABLE_OFFSET + self.length()).next_multiple_of(HEAD) + rank * (HEAD + BLOCK)
    }

    /// Adds `piece` at its place in the file, cut where a block ends.
    fn push_moved(&self, piece: Piece, moved: &mut Vec<Piece>) {
        let (first, within) = self.blocks.place(piece.offset);
        let offset = self.block_offset(first) + HEAD + within;
        if within + piece.length <= BLOCK {
            moved.push(Piece { offset, ..piece });
            return;
        }
        // The blocks of a piece follow one another, with a head before each.
        let mut done = 0;
        while done < piece.length {
            let length = (piece.length - done).min(BLOCK - (within + done) % BLOCK);
            moved.push(Piece {
                offset: offset + done + (within + done) / BLOCK * HEAD,
                length,
                content: piece.content.part(done, length, piece.length),
            });
            done += length;
        }
    }
}

impl Encode for BlockTable {
    fn encode(&self, bytes: &mut [u8]) {
        let table = format::block_entries(bytes);
        table.fill_with(|| format::BlockEntry(format::NO_BLOCK.into()));
        for (block, rank) in self.blocks.within(0..self.entries) {
            let bitmap = self.block_offset(rank) + HEAD - SECTOR;
            let block = usize::try_from(block).expect("the table is in memory");
            table[block].0 = narrow(bitmap / SECTOR).into();
        }
    }
}

/// What stands before a block.
#[derive(Debug)]
struct Head;

impl Encode for Head {
    fn encode(&self, bytes: &mut [u8]) {
        let bitmap = bytes.rchunks_mut(512).next().expect("it has a sector");
        bitmap.fill(0xff);
    }
}

/// A number of blocks, or the number of a sector of the file.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).expect("the largest disk has no larger numbers")
}

#[cfg(test)]
mod tests;
