//! What the FAT crate leaves to be done, byte by byte.
//!
//! Its formatter takes no time for the entry of the label, and its volume does not keep
//! the copy of the `FSInfo` sector. Source: Microsoft, FAT specification, sections 5 and 6.

use hadris_fat::FatDateTime;
use hadris_fat::sync::format::FormatParams;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::disk::Disk;
use super::options::{FatType, Options};

/// An entry of a directory.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct DirectoryEntry {
    name: [u8; 11],
    attributes: u8,
    case: u8,
    creation_hundredths: u8,
    creation_time: U16,
    creation_date: U16,
    access_date: U16,
    first_cluster_high: U16,
    write_time: U16,
    write_date: U16,
    first_cluster_low: U16,
    size: U32,
}

const _: () = assert!(size_of::<DirectoryEntry>() == 32);

/// The sector of the free count, and that of its copy.
const FSINFO_SECTORS: [u64; 2] = [1, 7];

/// Completes what the crate wrote to `disk`.
pub(super) fn complete(disk: &Disk, options: &Options, params: &FormatParams, time: FatDateTime) {
    let sector = params.sector_size as u64;
    if options.label.is_some() {
        stamp(disk, root_sector(params) * sector, time);
    }
    if fat_type(params) == FatType::Fat32 {
        let mut fsinfo = vec![0; params.sector_size];
        let [from, to] = FSINFO_SECTORS.map(|number| number * sector);
        disk.read_at(from, &mut fsinfo);
        disk.write_at(to, &fsinfo);
    }
}

/// Gives the entry at `offset` the time `time`.
fn stamp(disk: &Disk, offset: u64, time: FatDateTime) {
    let mut bytes = [0; size_of::<DirectoryEntry>()];
    disk.read_at(offset, &mut bytes);
    let mut entry: DirectoryEntry = zerocopy::transmute!(bytes);
    entry.creation_hundredths = time.time_tenth;
    entry.creation_time = time.time.into();
    entry.creation_date = time.date.into();
    entry.access_date = time.date.into();
    entry.write_time = time.time.into();
    entry.write_date = time.date.into();
    disk.write_at(offset, entry.as_bytes());
}

/// Where the root directory begins.
fn root_sector(params: &FormatParams) -> u64 {
    match fat_type(params) {
        FatType::Fat12 | FatType::Fat16 => {
            let tables = u64::from(params.fat_count) * u64::from(params.sectors_per_fat);
            u64::from(params.reserved_sectors) + tables
        }
        // Its cluster is the first.
        FatType::Fat32 => params.data_start_sector.into(),
    }
}

fn fat_type(params: &FormatParams) -> FatType {
    match params.fat_type {
        hadris_fat::FatType::Fat12 => FatType::Fat12,
        hadris_fat::FatType::Fat16 => FatType::Fat16,
        hadris_fat::FatType::Fat32 => FatType::Fat32,
    }
}
