//! Reading VHD, fixed and dynamic.

use std::fs::File;
use std::io;

use zerocopy::{FromZeros, Immutable, IntoBytes};

use super::container::{Container, ContainerFault, SECTOR, check_end, check_field, read};
use super::disk::Disk;
use super::format::{VHD_FOOTER_COOKIE, VHD_HEADER_COOKIE, VHD_NO_BLOCK, VhdFooter, VhdHeader};

const NAME: &str = "VHD";

/// `disk_type`.
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// Bytes of a block: from that of one sector of bitmap, to more than anybody makes.
const BLOCK_BYTES: std::ops::RangeInclusive<u32> = 4096..=256 << 20;

/// A dynamic disk of which every number that is used again was checked.
#[derive(Debug)]
pub(super) struct DynamicVhd {
    file: File,
    /// Bytes of the file.
    length: u64,
    /// Where the block allocation table lies.
    table: u64,
    /// Bytes of the disk in a block.
    block: u64,
    /// Bytes of the bitmap before them.
    bitmap: u64,
}

/// Opens the image that `file`, of `length` bytes, is.
pub(super) fn open(file: File, length: u64) -> Result<(Container, Disk), ContainerFault> {
    let footer = footer(&file, length)?;
    let size = footer.current_size.get();
    let identity = footer.unique_id;
    match footer.disk_type.get() {
        FIXED => {
            check_end(NAME, "the disk", 0, size, length - SECTOR)?;
            Ok((Container::VhdFixed { identity }, Disk::plain(file, size)))
        }
        DYNAMIC => {
            let vhd = dynamic(file, length, &footer)?;
            let container = Container::VhdDynamic {
                block_bytes: vhd.block,
                identity,
            };
            Ok((container, Disk::vhd(vhd, size)))
        }
        DIFFERENCING => Err(ContainerFault::Unsupported {
            container: NAME,
            feature: "a parent",
        }),
        other => Err(field("disk_type", other, "2, 3 or 4")),
    }
}

fn footer(file: &File, length: u64) -> Result<VhdFooter, ContainerFault> {
    let mut footer = VhdFooter::new_zeroed();
    read(file, footer.as_mut_bytes(), length - SECTOR)?;
    if footer.cookie != VHD_FOOTER_COOKIE {
        // There is one at the start, of a dynamic disk.
        return Err(ContainerFault::NoFooter);
    }
    check_sum("the footer's checksum", &footer, footer.checksum.get())?;
    let size = footer.current_size.get();
    let whole = size.is_multiple_of(SECTOR);
    check_field(NAME, "current_size", size, whole, "whole sectors")?;
    Ok(footer)
}

fn dynamic(file: File, length: u64, footer: &VhdFooter) -> Result<DynamicVhd, ContainerFault> {
    let mut header = VhdHeader::new_zeroed();
    let offset = footer.data_offset.get();
    let bytes = header.as_bytes().len() as u64;
    check_end(NAME, "the dynamic header", offset, bytes, length)?;
    read(&file, header.as_mut_bytes(), offset)?;
    if header.cookie != VHD_HEADER_COOKIE {
        let found = u64::from_be_bytes(header.cookie);
        return Err(field("the dynamic header's cookie", found, "cxsparse"));
    }
    check_sum(
        "the dynamic header's checksum",
        &header,
        header.checksum.get(),
    )?;
    let block = header.block_size.get();
    let allowed = block.is_power_of_two() && BLOCK_BYTES.contains(&block);
    let expected = "a power of two from 4096 to 256 MiB";
    check_field(NAME, "block_size", block, allowed, expected)?;
    let block = u64::from(block);
    let blocks = footer.current_size.get().div_ceil(block);
    let entries = header.max_table_entries.get();
    let enough = u64::from(entries) >= blocks;
    let expected = "as many as the disk has blocks";
    check_field(NAME, "max_table_entries", entries, enough, expected)?;
    let table = header.table_offset.get();
    check_end(
        NAME,
        "the block allocation table",
        table,
        4 * blocks,
        length,
    )?;
    Ok(DynamicVhd {
        file,
        length,
        table,
        block,
        bitmap: (block / SECTOR).div_ceil(8).next_multiple_of(SECTOR),
    })
}

impl DynamicVhd {
    /// Fills `bytes` from `offset` of the disk on, which ends behind them.
    pub(super) fn read_exact_at(&self, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = self.block - offset % self.block;
            let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (part, rest) = bytes.split_at_mut(length);
            self.read_part(part, offset)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            offset += length as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Fills `part`, which lies in one block. The bitmap says which sectors were written; those
    /// that were not are zero, as QEMU too takes it.
    fn read_part(&self, part: &mut [u8], offset: u64) -> Result<(), ContainerFault> {
        let mut entry = [0; 4];
        read(
            &self.file,
            &mut entry,
            self.table + 4 * (offset / self.block),
        )?;
        let sector = u32::from_be_bytes(entry);
        if sector == VHD_NO_BLOCK {
            part.fill(0);
            return Ok(());
        }
        let start = u64::from(sector) * SECTOR + self.bitmap + offset % self.block;
        check_end(NAME, "a block", start, part.len() as u64, self.length)?;
        read(&self.file, part, start)
    }
}

/// Refuses `structure` unless its bytes, but those of the checksum, add up to it, inverted.
fn check_sum(
    what: &'static str,
    structure: &(impl IntoBytes + Immutable),
    found: u32,
) -> Result<(), ContainerFault> {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let expected = !(sum(structure.as_bytes()) - sum(found.as_bytes()));
    if found == expected {
        return Ok(());
    }
    Err(ContainerFault::Sum {
        container: NAME,
        what,
        found,
        expected,
    })
}

fn field(field: &'static str, value: impl Into<u64>, expected: &'static str) -> ContainerFault {
    ContainerFault::Field {
        container: NAME,
        field,
        value: value.into(),
        expected,
    }
}
