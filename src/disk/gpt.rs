//! The GUID partition table: a protective master boot record, the table, and at the end of
//! the disk its backup.
//!
//! ```text
//!  sector 0   1       2 … 33    34 …                 -33 … -2   -1
//!         MBR header  entries   partitions           entries    header
//! ```
//!
//! With sectors of 4096 bytes the entries take 4 of them. UEFI specification 2.10, section
//! 5.3.

use std::ops::Range;

use gpt_disk_types::crc::Crc;
use gpt_disk_types::{
    Crc32, GptHeader, GptPartitionAttributes, GptPartitionEntry, GptPartitionType, LbaLe,
    MasterBootRecord, U32Le, U64Le,
};

use super::layout::Placed;
use super::{Disk, Guid, Partition, SectorSize, mbr};
use crate::image::{Content, Piece};
use crate::source::Source;

/// What messages call it.
pub(super) const NAME: &str = "a GPT";
/// Partitions that it holds: entries of the smallest table that the specification allows.
pub(super) const PARTITIONS: usize = PARTITIONS_U32 as usize;

const PARTITIONS_U32: u32 = 128;

const ENTRIES_BYTES: u64 = (PARTITIONS * size_of::<GptPartitionEntry>()) as u64;

/// Bytes before the first partition: record, header and entries.
pub(super) fn head_bytes(sector_size: SectorSize) -> u64 {
    2 * sector_size.bytes() + ENTRIES_BYTES
}

/// Bytes behind the last partition: entries and header.
pub(super) fn tail_bytes(sector_size: SectorSize) -> u64 {
    sector_size.bytes() + ENTRIES_BYTES
}

/// The table of `disk` and its backup, with `code` for a BIOS.
pub(super) fn pieces(guid: Guid, code: &[u8], disk: &Disk, placed: &Placed) -> Vec<Piece> {
    let sector = placed.sector_size.bytes();
    let sectors = placed.size / sector;
    let last = sectors - 1;
    let last_entries = last - ENTRIES_BYTES / sector;
    let entries = entries(guid, disk, placed);
    let header = |at, other, entries_at| {
        let mut header = GptHeader {
            my_lba: LbaLe::from_u64(at),
            alternate_lba: LbaLe::from_u64(other),
            first_usable_lba: LbaLe::from_u64(head_bytes(placed.sector_size) / sector),
            last_usable_lba: LbaLe::from_u64(last_entries - 1),
            disk_guid: guid.0,
            partition_entry_lba: LbaLe::from_u64(entries_at),
            number_of_partition_entries: U32Le::from_u32(PARTITIONS_U32),
            partition_entry_array_crc32: checksum(&entries),
            ..GptHeader::default()
        };
        header.update_header_crc32();
        Source::bytes(bytemuck::bytes_of(&header))
    };
    let piece = |lba, length, source| Piece {
        offset: lba * sector,
        length,
        content: Content::Source { source, skip: 0 },
    };
    let stored = Source::bytes(entries.as_slice());
    vec![
        mbr::piece(protective(sectors), code, sector),
        piece(1, sector, header(1, last, 2)),
        piece(2, ENTRIES_BYTES, stored.clone()),
        piece(last_entries, ENTRIES_BYTES, stored),
        piece(last, sector, header(last, 1, last_entries)),
    ]
}

/// A record whose one partition is the whole disk, or all of it that 32 bits can count.
fn protective(sectors: u64) -> MasterBootRecord {
    let mut record = MasterBootRecord::protective_mbr(sectors);
    let counted = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    record.partitions[0].size_in_lba = U32Le::from_u32(counted);
    record
}

/// All entries, the unused ones too.
fn entries(guid: Guid, disk: &Disk, placed: &Placed) -> Vec<u8> {
    let mut entries = [GptPartitionEntry::default(); PARTITIONS];
    for (index, (partition, bytes)) in disk.partitions.iter().zip(&placed.partitions).enumerate() {
        let derived = guid.of_partition(index + 1);
        let identity = partition.guid.unwrap_or(derived);
        entries[index] = entry(partition, identity, bytes, placed.sector_size.bytes());
    }
    bytemuck::cast_slice(&entries).to_vec()
}

fn entry(
    partition: &Partition,
    identity: Guid,
    bytes: &Range<u64>,
    sector: u64,
) -> GptPartitionEntry {
    let kind = partition.kind.and_then(super::PartitionType::gpt);
    let attributes = if partition.bootable {
        partition.attributes.bootable()
    } else {
        partition.attributes
    };
    GptPartitionEntry {
        partition_type_guid: GptPartitionType(kind.expect("a GPT has a GUID for it")),
        unique_partition_guid: identity.0,
        starting_lba: LbaLe::from_u64(bytes.start / sector),
        ending_lba: LbaLe::from_u64(bytes.end / sector - 1),
        attributes: GptPartitionAttributes(U64Le::from_u64(attributes.0)),
        name: partition.name.encode(),
    }
}

fn checksum(entries: &[u8]) -> Crc32 {
    let checksum = Crc::<u32>::new(&Crc32::ALGORITHM).checksum(entries);
    Crc32(U32Le::from_u32(checksum))
}
