//! The master boot record: at most four partitions, counted in sectors of 512 bytes with
//! 32 bits.
//!
//! UEFI specification 2.10, section 5.2.1.

use std::ops::Range;

use gpt_disk_types::{Chs, DiskGeometry, Lba, MasterBootRecord, MbrPartitionRecord, U32Le};

use super::layout::Placed;
use super::{Disk, MbrId, Partition};
use crate::image::{Content, Piece};
use crate::source::Source;

/// What messages call it.
pub(super) const NAME: &str = "an MBR";
/// Partitions that it holds.
pub(super) const PARTITIONS: usize = 4;
/// Bytes that it takes.
pub(super) const BYTES: u64 = size_of::<MasterBootRecord>() as u64;
/// Bytes for code in it.
pub(super) const CODE_BYTES: usize = 440;

const ACTIVE: u8 = 0x80;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
/// What stands where a sector is beyond the reach of cylinder, head and sector.
const BEYOND_CHS: Chs = Chs([0xfe, 0xff, 0xff]);

/// The record of `disk`, with `code` for a BIOS.
pub(super) fn pieces(id: MbrId, code: &[u8], disk: &Disk, placed: &Placed) -> Vec<Piece> {
    let mut partitions = [MbrPartitionRecord::default(); PARTITIONS];
    for ((record, partition), bytes) in partitions
        .iter_mut()
        .zip(&disk.partitions)
        .zip(&placed.partitions)
    {
        *record = entry(partition, bytes, placed.sector_size.bytes());
    }
    let record = MasterBootRecord {
        unique_mbr_disk_signature: id.0.to_le_bytes(),
        unknown: [0; 2],
        partitions,
        signature: SIGNATURE,
        ..MasterBootRecord::default()
    };
    vec![piece(record, code, BYTES)]
}

/// `record` with `code` in it, at the start of a disk, followed by zeros up to `length`.
pub(super) fn piece(mut record: MasterBootRecord, code: &[u8], length: u64) -> Piece {
    record.boot_strap_code[..code.len()].copy_from_slice(code);
    Piece {
        offset: 0,
        length,
        content: Content::Source {
            source: Source::bytes(bytemuck::bytes_of(&record)),
            skip: 0,
        },
    }
}

fn entry(partition: &Partition, bytes: &Range<u64>, sector: u64) -> MbrPartitionRecord {
    let [start, length] = [bytes.start, bytes.end - bytes.start]
        .map(|bytes| u32::try_from(bytes / sector).expect("it is within reach"));
    let kind = partition.kind.and_then(super::PartitionType::mbr);
    MbrPartitionRecord {
        boot_indicator: if partition.bootable { ACTIVE } else { 0 },
        start_chs: chs(start.into()),
        os_indicator: kind.expect("an MBR has a number for it"),
        end_chs: chs(u64::from(start) + u64::from(length) - 1),
        starting_lba: U32Le::from_u32(start),
        size_in_lba: U32Le::from_u32(length),
    }
}

/// The geometry is that of all large disks: 255 heads, 63 sectors.
fn chs(sector: u64) -> Chs {
    Chs::from_lba(Lba(sector), DiskGeometry::UNKNOWN).unwrap_or(BEYOND_CHS)
}
