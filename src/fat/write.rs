//! Making the filesystem with the `hadris-fat` crate.
//!
//! Its `std` feature is off: it then has no clock and no way to a disk but ours.

use hadris_fat::oem::LossyAsciiOemCpConverter;
use hadris_fat::sync::format::{FatVolumeFormatter, FormatParams, OemName};
use hadris_fat::sync::{FatVolume, FatVolumeBuilder, FatVolumeWriteExt, FileEntry, Seek, SeekFrom};
use hadris_fat::time::StaticTimeProvider;
use hadris_fat::{Error, FatDateTime};

use super::disk::Disk;
use super::format;
use super::geometry::Shape;
use super::names::{Content, Inventory};
use super::options::Options;
use crate::image::Pieces;
use crate::source::Source;

/// Who made it, in the boot sector.
const OEM_NAME: &str = "nix2img";

/// What is written in the place of content, at once: a multiple of every cluster.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The filesystem of `shape` that holds `inventory`.
pub(super) fn write(
    inventory: &Inventory,
    options: &Options,
    shape: &Shape,
    time: FatDateTime,
) -> Result<Pieces, Error> {
    let mut format_options = shape
        .format_options()
        .hidden_sectors(options.hidden_sectors)
        .volume_id(options.volume_id.0)
        .volume_label(options.label.as_str());
    format_options.oem_name = OemName::new(OEM_NAME);
    let params = FatVolumeFormatter::calculate_params(&format_options)?;

    let mut disk = Disk::new(shape.bytes());
    drop(FatVolumeFormatter::format(disk.clone(), format_options)?);
    disk.seek(SeekFrom::Start(0))?;
    // A volume has its clock for ever. These few bytes are never freed; a process makes
    // few filesystems.
    let clock = Box::leak(Box::new(StaticTimeProvider(time)));
    let volume = FatVolumeBuilder::new(disk.clone())
        .time_provider(clock)
        .oem_converter(&LossyAsciiOemCpConverter)
        .open()?;
    fill(&volume, &disk, inventory, &params)?;
    drop(volume);
    format::complete(&disk, options, &params, time);
    Ok(disk.into_pieces())
}

/// Makes the directories and files of `inventory` in their order, then places content.
fn fill(
    volume: &FatVolume<Disk>,
    disk: &Disk,
    inventory: &Inventory,
    params: &FormatParams,
) -> Result<(), Error> {
    let mut directories = vec![volume.root_dir()];
    let mut files = Vec::new();
    for (index, directory) in inventory.directories.iter().enumerate() {
        for entry in &directory.entries {
            let parent = &directories[index];
            match &entry.content {
                Content::Directory(place) => {
                    let made = volume.create_dir(parent, &entry.name)?;
                    debug_assert_eq!(*place, directories.len());
                    directories.push(made);
                }
                Content::File(source) => {
                    files.push((source, volume.create_file(parent, &entry.name)?));
                }
            }
        }
    }
    // For each file the crate looks for a free cluster from the first on: it passes fewer
    // if the large ones come last.
    files.sort_by_key(|(source, _)| source.length);
    for (source, entry) in files {
        place(volume, disk, source, &entry, params)?;
    }
    Ok(())
}

/// Has the crate find clusters for the file `entry`, and puts `source` there.
fn place(
    volume: &FatVolume<Disk>,
    disk: &Disk,
    source: &Source,
    entry: &FileEntry,
    params: &FormatParams,
) -> Result<(), Error> {
    let sector = params.sector_size as u64;
    let data_start = u64::from(params.data_start_sector) * sector;
    let cluster_bytes = u64::from(params.sectors_per_cluster) * sector;
    let mut writer = volume.write_file(entry)?;
    disk.begin_file(source, data_start, cluster_bytes);
    let placed = write_zeros(source.length, |zeros| writer.write(zeros));
    disk.end_file();
    placed?;
    writer.finish()
}

/// Has `write` write `length` zeros.
fn write_zeros(
    length: u64,
    mut write: impl FnMut(&[u8]) -> Result<usize, Error>,
) -> Result<(), Error> {
    let mut left = length;
    while left > 0 {
        let length = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        write(&ZEROS[..length])?;
        left -= length as u64;
    }
    Ok(())
}
